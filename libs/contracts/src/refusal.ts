import { z } from 'zod';
import { KeyId, SerialNumber } from './identifiers.ts';

/**
 * Why a device was refused. The code goes to the log, to the event and to the operator's view;
 * the device is told only what its protocol's error table allows.
 */
export const RefusalCode = z.enum([
  // admission (verifyPeer)
  'no-certificate',
  'malformed-certificate',
  'unknown-issuer',
  'bad-signature',
  'not-yet-valid',
  'expired',
  'issuer-expired',
  'issuer-disabled',
  'not-a-leaf',
  'path-too-long',
  'wrong-key-usage',
  'wrong-extended-key-usage',
  'wrong-purpose',
  'bad-identity',
  'denied',
  'denylist-not-loaded',
  'denylist-stale',
  // bootstrap
  'unknown-device',
  'unclaimed',
  'blocked',
  'retired',
  'wrong-identity',
  'waits-for-operator',
  'redirected',
  'no-issuing-ca',
  'account-suspended',
  // provisioning requests
  'request-closed',
  'outside-window',
  'already-provisioned',
  // registration
  'unknown-registration-certificate',
  'another-key',
  'device-id-taken',
  'limit-reached',
  'request-limit-reached',
  // enrolment
  'no-credentials',
  'wrong-grant',
  'used-grant',
  'expired-grant',
  'malformed-request',
  'bad-csr-signature',
  'weak-key',
  'not-certifiable',
  'own-ca-out-of-force',
  'wrong-subject',
  'wrong-san',
  'wrong-account',
  'unknown-profile',
  'wrong-profile',
  'device-enrolled',
  'key-compromised',
  'revoked',
  'too-early',
  'third-key',
  'wrong-binding',
  'missing-attribute',
  'declined',
  'hook-refused',
  // attestation of the key
  'no-attestation',
  'bad-attestation',
  'wrong-nonce',
  'not-a-tpm-key',
  'unknown-vendor',
  'other-tpm',
  // MQTT
  'wrong-client-id',
  'wrong-password',
  'topic-not-allowed',
  'packet-too-large',
  'rate-limited',
  // a dependency is unavailable and the listener fails closed
  'unavailable',
  // nothing that the device did
  'internal-error',
]);
export type RefusalCode = z.infer<typeof RefusalCode>;

/** The facts of a refusal, shared by `BOOTSTRAP_REFUSED`, `ENROLLMENT_REFUSED` and `DEVICE_REFUSED`. */
export const Refusal = z.object({
  code: RefusalCode.describe('Stable code, see refusals.md'),
  message: z.string().describe('Names the field and the reason, for operators'),
  listener: z.string().describe('Which listener: `bootstrap`, `est`, `mqtt`, `mqtt-provisioning`, `gateway`'),
  deviceId: z.string().optional().describe('Device id that it named, if any'),
  fingerprint: z.string().optional().describe('SHA-256 of the certificate that was shown, if any'),
  issuer: z.string().optional().describe('Issuer of that certificate'),
  serialNumber: SerialNumber.optional().describe('Its serial number, where it is good but denied'),
  issuerKeyId: KeyId.optional().describe('Key id of its issuer, where it is good but denied'),
  profile: z.string().optional().describe('Enrollment profile that it asked for'),
  address: z.string().optional().describe('Network address it came from'),
  count: z
    .number()
    .int()
    .min(1)
    .describe('How many like refusals this event stands for; repeated ones are counted, not sent singly'),
});
export type Refusal = z.infer<typeof Refusal>;
