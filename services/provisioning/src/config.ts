import { commonConfig, port } from '@signet/service';
import type { z } from 'zod';

/** Configuration of the provisioning service and its device gateway. */
export const provisioningConfig = commonConfig.extend({
  SIGNET_GATEWAY_PORT: port(8445).describe('Port of the device gateway (HTTPS, mutual TLS)'),
});
export type ProvisioningConfig = z.output<typeof provisioningConfig>;
