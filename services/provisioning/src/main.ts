import { runService, withAdmission } from '@signet/service';
import { startProvisioning } from './app.ts';
import { provisioningConfig } from './config.ts';

await runService('provisioning', provisioningConfig, withAdmission(startProvisioning));
