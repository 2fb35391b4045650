import { runService } from '@signet/service';
import { revocationSyncConfig, startRevocationSync } from './app.ts';

await runService('revocation-sync', revocationSyncConfig, startRevocationSync);
