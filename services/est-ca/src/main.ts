import { runServiceInWorkers, withAdmission } from '@signet/service';
import { startEstCa } from './app.ts';
import { estCaConfig, workersOf } from './config.ts';

await runServiceInWorkers('est-ca', estCaConfig, {
  variable: 'SIGNET_EST_WORKERS',
  workersOf,
  start: withAdmission(startEstCa),
});
