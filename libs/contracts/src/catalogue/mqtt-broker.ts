import { z } from 'zod';
import { DeviceId, Fingerprint, KeyId, SerialNumber } from '../identifiers.ts';
import { Refusal } from '../refusal.ts';

const session = z.object({
  deviceId: DeviceId,
  /** Number of the session, unique over all nodes. */
  sessionId: z.string(),
  node: z.string(),
  address: z.string(),
  fingerprint: Fingerprint,
  serialNumber: SerialNumber,
  issuerKeyId: KeyId,
  publicKeyHash: Fingerprint,
});

export const DisconnectReason = z.enum([
  'client',
  'network',
  'takeover',
  'denied',
  'expired',
  'protocol',
  'shutdown',
  'keepalive',
]);

export const mqttBrokerEvents = {
  /** The first contact of a device whose certificate was made at a registered local CA. */
  DEVICE_FIRST_SEEN: z.object({ deviceId: DeviceId, fingerprint: Fingerprint, authorityId: z.string() }),
  DEVICE_CONNECTED: session,
  DEVICE_DISCONNECTED: session.extend({ reason: DisconnectReason }),
  DEVICE_REFUSED: Refusal,
} as const;
