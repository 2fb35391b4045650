import { z } from 'zod';
import { DeviceId, Fingerprint, KeyId, Pem, RevocationReason, SerialNumber, Time } from '../identifiers.ts';
import { Refusal } from '../refusal.ts';

/** `root`; `factory` signs bootstrap certificates; `issuing` operational ones; `server` the services' TLS. */
export const AuthorityKind = z.enum(['root', 'factory', 'issuing', 'server']);
export type AuthorityKind = z.infer<typeof AuthorityKind>;

export const AuthorityState = z.enum(['active', 'disabled', 'revoked']);
export type AuthorityState = z.infer<typeof AuthorityState>;

const authority = z.object({
  authorityId: z.string(),
  kind: AuthorityKind,
  state: AuthorityState,
  subjectKeyId: KeyId,
  notAfter: Time,
  /** Why it changed; absent on creation. */
  reason: z.string().optional(),
});

const certificate = z.object({
  deviceId: DeviceId,
  serialNumber: SerialNumber,
  /** Subject key identifier of the issuing CA. */
  issuerKeyId: KeyId,
  /** SHA-256 of the certificate's DER. */
  fingerprint: Fingerprint,
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex. */
  publicKeyHash: Fingerprint,
  profile: z.string(),
  notBefore: Time,
  notAfter: Time,
});

/** `publicKey` is the SubjectPublicKeyInfo in PEM. */
export const estCaEvents = {
  CA_CREATED: authority,
  CA_CHANGED: authority,
  CERT_ISSUED: certificate.extend({ publicKey: Pem }),
  CERT_RENEWED: certificate.extend({
    publicKey: Pem,
    previousSerialNumber: SerialNumber,
    keyChanged: z.boolean(),
  }),
  CERT_REVOKED: certificate.extend({ reason: RevocationReason, by: z.string() }),
  CERT_EXPIRING: certificate.extend({ daysLeft: z.number().int() }),
  CRL_PUBLISHED: z.object({
    authorityId: z.string(),
    number: z.number().int(),
    entries: z.number().int(),
    thisUpdate: Time,
    nextUpdate: Time,
    delta: z.boolean(),
  }),
  ENROLLMENT_REFUSED: Refusal,
} as const;
