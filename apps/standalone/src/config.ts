import { adminApiConfig } from '@signet/admin-api/config';
import { bootstrapConfig } from '@signet/bootstrap/config';
import { estCaConfig } from '@signet/est-ca/config';
import { mqttBrokerConfig } from '@signet/mqtt-broker/config';
import { provisioningConfig } from '@signet/provisioning/config';
import { revocationSyncConfig } from '@signet/revocation-sync/config';
import { z } from 'zod';

/** One process reads what all six services read. */
export const standaloneConfig = z.object({
  ...estCaConfig.shape,
  ...revocationSyncConfig.shape,
  ...mqttBrokerConfig.shape,
  ...provisioningConfig.shape,
  ...bootstrapConfig.shape,
  ...adminApiConfig.shape,
});
export type StandaloneConfig = z.output<typeof standaloneConfig>;
