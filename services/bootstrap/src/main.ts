import { runService, withDoor } from '@signet/service';
import { bootstrapConfig, startBootstrap } from './app.ts';

await runService('bootstrap', bootstrapConfig, withDoor(startBootstrap));
