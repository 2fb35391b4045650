import { Account, ConfigFile, DeviceId, ProvisioningState, Time } from '@signet/contracts';
import type { CollectionSpec } from '@signet/store';
import { z } from 'zod';
import { PasswordHash } from './password.ts';

/**
 * What an operator prepared for one device: who may ask for its bundle over MQTT, when, how often, and with what config.
 * The id is `<account>/<device>/<n>`, the n-th of its device: two that are made at once do not both stand.
 */
export const ProvisioningRequest = z.object({
  id: z.string(),
  requestId: z.string(),
  account: Account,
  deviceId: DeviceId,
  /** What the device calls itself at CONNECT, and in the topics of the exchange. */
  clientId: DeviceId,
  credentials: z.enum(['password', 'activation-key']),
  /** That of an activation key is the client id. */
  username: z.string(),
  password: PasswordHash,
  activatesOn: Time,
  expiresOn: Time,
  retryLimit: z.number().int().min(1),
  failedAttempts: z.number().int().min(0),
  overwrite: z.boolean(),
  config: z.array(ConfigFile),
  /** Version of the device's config with `config` in it; absent until it is handed over. */
  configVersion: z.number().int().optional(),
  handedOverAt: Time.optional(),
  state: ProvisioningState,
  /** Present while it is not final: what the sweep of windows that have closed goes by. */
  openUntil: Time.optional(),
  /** Why it is FAILED or STOPPED, or what the device said of its last failure. */
  reason: z.string().optional(),
  createdAt: Time,
  createdBy: z.string(),
  changedAt: Time,
});
export type ProvisioningRequest = z.infer<typeof ProvisioningRequest>;

export const provisioningRequests = {
  name: 'provisioning.requests',
  schema: ProvisioningRequest,
  indexes: {
    open: { fields: ['clientId', 'openUntil'] },
    byClient: { fields: ['clientId', 'createdAt'] },
    byDevice: { fields: ['account', 'deviceId', 'createdAt'] },
    byRequest: { fields: ['account', 'requestId'] },
    byState: { fields: ['account', 'state', 'requestId'] },
    byEnd: { fields: ['openUntil'] },
  },
} as const satisfies CollectionSpec<ProvisioningRequest>;
export type RequestIndex = keyof typeof provisioningRequests.indexes;
