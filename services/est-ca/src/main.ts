import { runService, withAdmission } from '@signet/service';
import { startEstCa } from './app.ts';
import { estCaConfig } from './config.ts';

await runService('est-ca', estCaConfig, withAdmission(startEstCa));
