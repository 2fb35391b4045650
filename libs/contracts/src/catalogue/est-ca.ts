import { z } from 'zod';
import { DeviceId, Fingerprint, KeyId, Pem, RevocationReason, SerialNumber, Time } from '../identifiers.ts';
import { Refusal } from '../refusal.ts';

/** `root`; `factory` signs bootstrap certificates; `issuing` operational ones; `server` the services' TLS. */
export const AuthorityKind = z
  .enum(['root', 'factory', 'issuing', 'server'])
  .describe('What the CA is for: `factory` signs bootstrap certificates, `issuing` operational ones');
export type AuthorityKind = z.infer<typeof AuthorityKind>;

export const AuthorityState = z.enum(['active', 'disabled', 'revoked']).describe('State of the CA');
export type AuthorityState = z.infer<typeof AuthorityState>;

const authority = z.object({
  authorityId: z.string().describe('Id of the CA'),
  kind: AuthorityKind,
  state: AuthorityState,
  subjectKeyId: KeyId,
  notAfter: Time.describe('End of its validity'),
  keyElsewhere: z.boolean().optional().describe('Whether its key is with its owner, not with Signet'),
  reason: z.string().optional().describe('Why it changed; absent on creation'),
  accountDeleted: z
    .literal(true)
    .optional()
    .describe('It is revoked because its account is deleted, and nothing is held against what it signed'),
});

const certificate = z.object({
  deviceId: DeviceId,
  serialNumber: SerialNumber,
  issuerKeyId: KeyId.describe('Subject key identifier of the issuing CA'),
  fingerprint: Fingerprint,
  publicKeyHash: Fingerprint.describe('SHA-256 of the SubjectPublicKeyInfo, lower-case hex'),
  profile: z.string().describe('Enrollment profile it was issued by'),
  notBefore: Time.describe('Start of its validity'),
  notAfter: Time.describe('End of its validity'),
});

const enrollmentRequest = z.object({
  deviceId: DeviceId,
  requestId: z.string().describe('Id of the request that waits for an operator'),
  profile: z.string().describe('Enrollment profile that it asked for'),
  publicKeyHash: Fingerprint.describe('SHA-256 of the SubjectPublicKeyInfo of the CSR, lower-case hex'),
  renewal: z.boolean().describe('Whether it is for a renewal'),
});

const publicKey = Pem.describe('Public key, SubjectPublicKeyInfo in PEM');

export const estCaEvents = {
  CA_CREATED: authority,
  CA_CHANGED: authority,
  CERT_ISSUED: certificate.extend({ publicKey }),
  CERT_RENEWED: certificate.extend({
    publicKey,
    previousSerialNumber: SerialNumber.describe('Serial number of the certificate that it renews'),
    keyChanged: z.boolean().describe('Whether the renewal changed the key'),
  }),
  CERT_REVOKED: certificate.extend({
    reason: RevocationReason.describe('CRL reason (RFC 5280 §5.3.1)'),
    by: z.string().describe('Who revoked it'),
  }),
  CERT_RELEASED: certificate.extend({ by: z.string().describe('Who lifted the hold') }),
  CERT_EXPIRING: certificate.extend({ daysLeft: z.number().int().describe('Whole days until notAfter') }),
  CRL_PUBLISHED: z.object({
    authorityId: z.string().describe('Id of the CA'),
    number: z.number().int().describe('CRL number'),
    entries: z.number().int().describe('How many certificates it lists'),
    thisUpdate: Time.describe('When it was made'),
    nextUpdate: Time.describe('When the next one is due at the latest'),
    delta: z.boolean().describe('Whether it is a delta CRL'),
  }),
  DEVICE_PROFILE_CHANGED: z.object({
    deviceId: DeviceId,
    from: z.string().describe('Label of the enrollment profile that it was under'),
    to: z.string().describe('Label of the one that it renews under from now on'),
    by: z.string().describe('Operator who moved it'),
  }),
  ENROLLMENT_REFUSED: Refusal,
  ENROLLMENT_REQUESTED: enrollmentRequest,
  ENROLLMENT_DECIDED: enrollmentRequest.extend({
    approved: z.boolean().describe('Whether it was approved'),
    by: z.string().describe('Who decided'),
    reason: z.string().optional().describe('Why it was declined'),
  }),
} as const;
