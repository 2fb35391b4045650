import { z } from 'zod';
import { DeviceState } from '../device-state.ts';
import { Account, DeviceId, Fingerprint, SerialNumber } from '../identifiers.ts';
import { Refusal } from '../refusal.ts';

/** What never changes of a device (immutable fields), and what most bootstrap events carry. */
const device = z.object({
  deviceId: DeviceId,
  fingerprint: Fingerprint.describe('SHA-256 of the bootstrap certificate’s DER'),
  deviceSerialNumber: z.string().describe('The device’s own serial number, not the certificate’s'),
  model: z.string().optional().describe('Model, as the factory named it'),
});

const by = z.string().describe('Operator who did it');
const reason = z.string().describe('Why, in the operator’s words');
const owner = Account.optional().describe('Account that owns the device, if one does');

export const bootstrapEvents = {
  DEVICE_MANUFACTURED: device.extend({
    factoryCa: z.string().describe('Id of the factory CA that signed'),
    certificateSerial: SerialNumber,
  }),
  /**
   * The first contact of a device whose certificate was made at a registered local CA; or the first of one that an API
   * token registered, with broker or gateway.
   */
  DEVICE_FIRST_SEEN: z.object({
    deviceId: DeviceId,
    fingerprint: Fingerprint.describe('SHA-256 of the bootstrap certificate’s DER'),
    authorityId: z.string().describe('Id of the CA of that certificate'),
  }),
  DEVICE_REGISTRATION_REQUESTED: z.object({
    requestId: z.string().describe('Id of the request, for its approval'),
    fingerprint: Fingerprint.describe(
      'SHA-256 of the DER of the registration certificate that it asked with',
    ),
    details: z.record(z.string(), z.string()).describe('What the device said of itself'),
  }),
  DEVICE_REGISTRATION_DECIDED: z.object({
    requestId: z.string().describe('Id of the request'),
    fingerprint: Fingerprint.describe(
      'SHA-256 of the DER of the registration certificate that it asked with',
    ),
    approved: z.boolean().describe('Whether it was approved'),
    by,
    reason: z.string().optional().describe('Why it was declined'),
  }),
  DEVICE_CLAIMED: device.extend({
    group: z.string().optional().describe('Group that the claim put it in'),
    by,
  }),
  DEVICE_BOOTSTRAPPED: device.extend({
    instance: z.string().describe('Instance that did the handoff'),
    onboarding: z
      .string()
      .optional()
      .describe('Id of the onboarding: one for each claim and each reset, however many handoffs it gets'),
  }),
  DEVICE_RESET: device.extend({
    from: DeviceState.describe('State before'),
    to: DeviceState.describe('State after: `claimed`, or `manufactured` if it is unclaimed'),
    by,
  }),
  DEVICE_BLOCKED: device.extend({ reason, by, account: owner }),
  DEVICE_UNBLOCKED: device.extend({ by, account: owner }),
  DEVICE_RETIRED: device.extend({ reason, by, account: owner }),
  BOOTSTRAP_REFUSED: Refusal,
} as const;
