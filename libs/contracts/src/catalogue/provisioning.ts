import { z } from 'zod';
import { DeviceId, Fingerprint, Pem, SerialNumber } from '../identifiers.ts';
import { ProvisioningState } from '../provisioning-state.ts';

const rotation = z.object({
  deviceId: DeviceId,
  rotationId: z.string().describe('Id of the rotation'),
});

const version = z.number().int().describe('Version of the configuration, growing by one');

export const provisioningEvents = {
  DEVICE_PROVISIONED: z.object({
    deviceId: DeviceId,
    requestId: z.string().describe('Id of the provisioning request that it matched'),
  }),
  PROVISIONING_CHANGED: z.object({
    deviceId: DeviceId,
    requestId: z.string().describe('Id of the provisioning request'),
    from: ProvisioningState.optional().describe('State before; absent for a new one'),
    state: ProvisioningState.describe('State after'),
    details: z.string().optional().describe('Why, or what the device said'),
  }),
  DEVICE_CONFIG_CHANGED: z.object({
    deviceId: DeviceId,
    version,
    files: z.array(z.string()).describe('Names of the files that changed'),
    by: z.string().describe('Who changed it'),
  }),
  /** The first contact of a device with each certificate: at the broker, at the gateway, or over Flotta’s protocol. */
  DEVICE_SEEN: z.object({
    deviceId: DeviceId,
    serialNumber: SerialNumber.describe('Serial number of the certificate that it came with'),
    publicKeyHash: Fingerprint.describe('SHA-256 of its key'),
  }),
  DEVICE_CONFIG_APPLIED: z.object({ deviceId: DeviceId, version }),
  /** A layer that several devices read; each of them gets a DEVICE_CONFIG_CHANGED. */
  CONFIG_LAYER_CHANGED: z.object({
    group: z.string().optional().describe('The group; absent for the account’s own layer'),
    version,
    files: z.array(z.string()).describe('Names of the files that changed'),
    by: z.string().describe('Who changed it'),
    reason: z.string().describe('Why, in their words'),
  }),
  GROUP_CHANGED: z.object({
    group: z.string().describe('The group'),
    change: z.enum(['created', 'removed', 'devices']).describe('What changed of it'),
    by: z.string().describe('Who changed it'),
  }),
  DEVICE_ROTATION_STARTED: rotation,
  DEVICE_ROTATION_STEP: rotation.extend({
    step: z.string().describe('Step that the device reported'),
    success: z.boolean().describe('Whether the step succeeded'),
    details: z.string().optional().describe('What the device said of it'),
  }),
  DEVICE_ROTATION_COMPLETED: rotation,
  DEVICE_ROTATION_CANCELLED: rotation.extend({
    serialNumber: SerialNumber.describe('Serial number of the certificate of the announced key'),
    publicKeyHash: Fingerprint.describe('SHA-256 of the announced key'),
    reason: z
      .enum(['cancelled', 'replaced'])
      .describe('By an operator, or because another announced key was seen or took its place'),
    keyKept: z
      .literal(true)
      .optional()
      .describe('The key stays good until it is seen; otherwise its certificate is revoked after this event'),
    by: z.string().describe('Who did it'),
  }),
  CAMPAIGN_CHANGED: z.object({
    campaignId: z.string().describe('Id of the campaign'),
    rotationId: z.string().describe('Id that its devices report by'),
    state: z.string().describe('State after: PREPARING, RUNNING, PAUSED, COMPLETED or CANCELLED'),
    reason: z.string().optional().describe('Why'),
    by: z.string().describe('Who changed it; `provisioning` for the service itself'),
  }),
  /** Field names of the payload are those that FoundriesFactory's event queues carry; keys are SPKI in PEM. */
  DEVICE_PUBKEY_CHANGE: z.object({
    deviceId: DeviceId,
    NewPubKey: Pem.describe('The new key, SPKI in PEM'),
    OldPubKey: Pem.optional().describe('The key before, SPKI in PEM; absent for a first key'),
    newSerialNumber: SerialNumber.describe('Serial number of the certificate with the new key'),
    newPublicKeyHash: Fingerprint.describe('SHA-256 of the new SubjectPublicKeyInfo'),
    oldPublicKeyHash: Fingerprint.optional().describe('SHA-256 of the old SubjectPublicKeyInfo'),
    rotationId: z.string().optional().describe('Id of the rotation, if one was ordered'),
  }),
} as const;
