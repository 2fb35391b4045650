import { runServiceInWorkers, withDoor } from '@signet/service';
import { startEstCa } from './app.ts';
import { estCaConfig, workersOf } from './config.ts';

await runServiceInWorkers('est-ca', estCaConfig, {
  variable: 'SIGNET_EST_WORKERS',
  workersOf,
  start: withDoor(startEstCa),
});
