import { runService, withDoor } from '@signet/service';
import { provisioningConfig, startProvisioning } from './app.ts';

await runService('provisioning', provisioningConfig, withDoor(startProvisioning));
