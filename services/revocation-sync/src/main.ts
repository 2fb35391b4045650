import { runService } from '@signet/service';
import { startRevocationSync } from './app.ts';
import { revocationSyncConfig } from './config.ts';

await runService('revocation-sync', revocationSyncConfig, startRevocationSync);
