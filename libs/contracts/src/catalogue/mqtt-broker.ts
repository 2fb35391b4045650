import { z } from 'zod';
import { DeviceId, Fingerprint, KeyId, SerialNumber } from '../identifiers.ts';
import { MqttPolicy } from '../operations/mqtt-policy.ts';
import { Refusal } from '../refusal.ts';

const session = z.object({
  deviceId: DeviceId,
  sessionId: z.string().describe('Id of the session, unique over all nodes'),
  node: z.string().describe('Broker node that holds it'),
  address: z.string().describe('Network address of the device'),
  fingerprint: Fingerprint,
  serialNumber: SerialNumber,
  issuerKeyId: KeyId.describe('Subject key identifier of the issuing CA'),
  publicKeyHash: Fingerprint.describe('SHA-256 of the SubjectPublicKeyInfo, lower-case hex'),
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
  'slow-consumer',
  'internal',
]);
export type DisconnectReason = z.infer<typeof DisconnectReason>;

export const mqttBrokerEvents = {
  DEVICE_CONNECTED: session,
  DEVICE_DISCONNECTED: session.extend({ reason: DisconnectReason.describe('What ended it') }),
  DEVICE_REFUSED: Refusal,
  /** Its subject is the account. */
  MQTT_POLICY_CHANGED: z.object({
    policy: MqttPolicy.describe('What holds from now on'),
    by: z.string().describe('Operator or token'),
  }),
} as const;
