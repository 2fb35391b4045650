import { runService, withAdmission } from '@signet/service';
import { startBootstrap } from './app.ts';
import { bootstrapConfig } from './config.ts';

await runService('bootstrap', bootstrapConfig, withAdmission(startBootstrap));
