import { z } from 'zod';

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
  // enrolment
  'no-credentials',
  'wrong-grant',
  'used-grant',
  'expired-grant',
  'malformed-request',
  'bad-csr-signature',
  'weak-key',
  'wrong-subject',
  'wrong-san',
  'wrong-account',
  'unknown-profile',
  'revoked',
  'too-early',
  'third-key',
  // MQTT
  'wrong-client-id',
  'wrong-password',
  'topic-not-allowed',
  'packet-too-large',
  'rate-limited',
  // a dependency is away and the listener fails closed
  'unavailable',
]);
export type RefusalCode = z.infer<typeof RefusalCode>;

/** The facts of a refusal, shared by `BOOTSTRAP_REFUSED`, `ENROLLMENT_REFUSED` and `DEVICE_REFUSED`. */
export const Refusal = z.object({
  code: RefusalCode,
  /** Names the field and the reason, for operators. */
  message: z.string(),
  /** Which door: `bootstrap`, `est`, `mqtt`, `mqtt-provisioning`, `gateway`. */
  listener: z.string(),
  deviceId: z.string().optional(),
  /** SHA-256 of the certificate that was shown, if any. */
  fingerprint: z.string().optional(),
  issuer: z.string().optional(),
  profile: z.string().optional(),
  address: z.string().optional(),
  /** How many like refusals this event stands for; repeated ones are counted, not sent singly. */
  count: z.number().int().min(1),
});
export type Refusal = z.infer<typeof Refusal>;
