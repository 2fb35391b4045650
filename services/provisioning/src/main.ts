import { runService, withDoor } from '@signet/service';
import { startProvisioning } from './app.ts';
import { provisioningConfig } from './config.ts';

await runService('provisioning', provisioningConfig, withDoor(startProvisioning));
