import { z } from 'zod';
import { DeviceId, Fingerprint, Pem, SerialNumber } from '../identifiers.ts';

const rotation = z.object({
  deviceId: DeviceId,
  rotationId: z.string(),
});

export const provisioningEvents = {
  DEVICE_PROVISIONED: z.object({ deviceId: DeviceId, requestId: z.string() }),
  DEVICE_CONFIG_CHANGED: z.object({
    deviceId: DeviceId,
    version: z.number().int(),
    files: z.array(z.string()),
    by: z.string(),
  }),
  DEVICE_CONFIG_APPLIED: z.object({ deviceId: DeviceId, version: z.number().int() }),
  DEVICE_ROTATION_STARTED: rotation,
  DEVICE_ROTATION_STEP: rotation.extend({
    step: z.string(),
    success: z.boolean(),
    details: z.string().optional(),
  }),
  DEVICE_ROTATION_COMPLETED: rotation,
  /** Field names of the payload are those that FoundriesFactory's event queues carry; keys are SPKI in PEM. */
  DEVICE_PUBKEY_CHANGE: z.object({
    deviceId: DeviceId,
    NewPubKey: Pem,
    OldPubKey: Pem.optional(),
    newSerialNumber: SerialNumber,
    newPublicKeyHash: Fingerprint,
    oldPublicKeyHash: Fingerprint.optional(),
    rotationId: z.string().optional(),
  }),
} as const;
