import { z } from 'zod';
import { DeviceState } from '../device-state.ts';
import { Account, DeviceId, Fingerprint, SerialNumber } from '../identifiers.ts';
import { Refusal } from '../refusal.ts';

/** What never changes of a device (immutable fields), and what most bootstrap events carry. */
const device = z.object({
  deviceId: DeviceId,
  fingerprint: Fingerprint,
  deviceSerialNumber: z.string(),
  model: z.string().optional(),
});

export const bootstrapEvents = {
  DEVICE_MANUFACTURED: device.extend({ factoryCa: z.string(), certificateSerial: SerialNumber }),
  DEVICE_REGISTRATION_REQUESTED: z.object({
    requestId: z.string(),
    fingerprint: Fingerprint,
    details: z.record(z.string(), z.string()),
  }),
  DEVICE_CLAIMED: device.extend({ group: z.string().optional(), by: z.string() }),
  DEVICE_BOOTSTRAPPED: device.extend({ instance: z.string() }),
  DEVICE_RESET: device.extend({ from: DeviceState, to: DeviceState, by: z.string() }),
  DEVICE_BLOCKED: device.extend({ reason: z.string(), by: z.string(), account: Account.optional() }),
  DEVICE_UNBLOCKED: device.extend({ by: z.string(), account: Account.optional() }),
  DEVICE_RETIRED: device.extend({ reason: z.string(), by: z.string(), account: Account.optional() }),
  BOOTSTRAP_REFUSED: Refusal,
} as const;
