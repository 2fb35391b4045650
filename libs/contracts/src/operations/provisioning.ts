import { z } from 'zod';
import { Account, DeviceId, Fingerprint, Pem, SerialNumber, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';

/** A key of a device: SPKI in PEM, its SHA-256, and the certificate that carries it. */
export const DeviceKey = z.object({
  publicKey: Pem,
  publicKeyHash: Fingerprint,
  serialNumber: SerialNumber,
  since: Time,
});
export type DeviceKey = z.infer<typeof DeviceKey>;

/** The keys of a device: `next` is announced and not yet seen, and so are those that wait beside it. */
export const DeviceKeys = z.object({
  account: Account,
  deviceId: DeviceId,
  current: DeviceKey.optional(),
  next: DeviceKey.optional(),
  waiting: z
    .array(DeviceKey)
    .optional()
    .describe(
      'Announced before, or of a cancelled rotation; each is accepted until one announced key is seen',
    ),
  seen: Fingerprint.optional().describe(
    'SHA-256 of the key that the device came with last, at broker or gateway',
  ),
  gatewaySeenAt: Time.optional().describe(
    'When the device was last seen at the gateway, to a quarter of an hour',
  ),
});
export type DeviceKeys = z.infer<typeof DeviceKeys>;

/**
 * A renewal with a new key announces that key, before the EST service answers: the old key vouches by TLS,
 * the new one by the CSR's signature. Every announced key (four at most) stays good until one of them is seen.
 */
export const announceKey = operation('provisioning.announce-key', {
  input: z.object({
    account: Account,
    deviceId: DeviceId,
    currentPublicKeyHash: Fingerprint,
    next: DeviceKey,
  }),
  output: DeviceKeys,
  errors: ['third-key'],
});

export const getDeviceKeys = operation('provisioning.get-device-keys', {
  idempotent: true,
  input: z.object({ account: Account, deviceId: DeviceId }),
  output: DeviceKeys,
  errors: ['unknown-device'],
});
