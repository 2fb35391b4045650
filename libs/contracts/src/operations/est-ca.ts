import { z } from 'zod';
import { AuthorityKind, AuthorityState } from '../catalogue/est-ca.ts';
import {
  Account,
  DeviceId,
  DeviceSerialNumber,
  Fingerprint,
  KeyId,
  Pem,
  RevocationReason,
  SerialNumber,
  Time,
} from '../identifiers.ts';
import { operation } from '../operation.ts';
import { PageRequest, pageOf } from './paging.ts';

/** What happens when a device of a manufacturer's CA comes that the factory log does not have. */
export const FirstContact = z
  .enum(['refused', 'waits', 'claimed'])
  .describe(
    'What happens to a device that is not in the factory log yet: refused, recorded and waiting for its claim, or claimed for the account at once',
  );
export type FirstContact = z.infer<typeof FirstContact>;

/** A CA as listeners and operators see it: public parts only. */
export const Authority = z.object({
  authorityId: z.string(),
  kind: AuthorityKind,
  /** The platform's account where tenants share it. */
  account: Account,
  state: AuthorityState,
  certificate: Pem,
  subjectKeyId: KeyId,
  notAfter: Time,
  /** Factory CAs whose key is elsewhere. */
  firstContact: FirstContact.optional(),
  /** Its key is not with Signet: what it signs is not on record here. */
  keyElsewhere: z.boolean().optional(),
  /** TLS certificates that this server CA gave up to then are to be replaced. */
  replaceUpTo: Time.optional(),
});
export type Authority = z.infer<typeof Authority>;

/** Every CA of the platform: what the listeners pin. */
export const listAuthorities = operation('est-ca.list-authorities', {
  idempotent: true,
  input: z.object({}),
  output: z.object({ authorities: z.array(Authority) }),
  errors: [],
});

/** Signs bootstrap certificates with the account's factory CA, or the platform's. */
export const signBootstrap = operation('est-ca.sign-bootstrap', {
  input: z.object({
    account: Account,
    items: z
      .array(
        z.object({
          csr: z.string(),
          deviceId: DeviceId.optional(),
          deviceSerialNumber: DeviceSerialNumber.optional(),
        }),
      )
      .min(1)
      .max(256),
  }),
  output: z.object({
    authorityId: z.string(),
    chain: z.array(Pem),
    /** By which devices of the account verify the platform's servers: roots. */
    trustAnchors: z.array(Pem),
    results: z.array(
      z.union([
        z.object({ certificate: Pem }),
        z.object({ error: z.object({ code: z.string(), message: z.string() }) }),
      ]),
    ),
  }),
  errors: ['no-factory-ca'],
});

/** Issues a TLS server certificate to one of our own services. `names` are DNS names or IP addresses. */
export const issueServerCertificate = operation('est-ca.issue-server-certificate', {
  input: z.object({ service: z.string(), csr: z.string(), names: z.array(z.string()).min(1).max(64) }),
  output: z.object({ certificate: Pem, chain: z.array(Pem), notAfter: Time }),
  errors: ['bad-csr', 'authority-ended'],
});

/** Makes the one live enrollment grant of a device; an earlier one is void. */
export const createGrant = operation('est-ca.create-grant', {
  input: z.object({
    account: Account,
    deviceId: DeviceId,
    fingerprint: Fingerprint,
    identity: Fingerprint.optional().describe(
      'Of the device’s first bootstrap certificate, where `fingerprint` is of its second one',
    ),
    resetAt: Time.optional().describe(
      'When the device was reset: the grant takes the place of what it had until then',
    ),
    profile: z.string().optional(),
  }),
  output: z.object({
    label: z.string(),
    username: z.string(),
    grant: z.string(),
    expiresAt: Time,
    trustAnchors: z.array(Pem),
  }),
  errors: ['unknown-profile'],
});

/** An issued operational certificate. */
export const IssuedCertificate = z.object({
  serialNumber: SerialNumber,
  account: Account,
  deviceId: DeviceId,
  profile: z.string(),
  certificate: Pem,
  fingerprint: Fingerprint,
  publicKeyHash: Fingerprint,
  issuerKeyId: KeyId,
  notBefore: Time,
  notAfter: Time,
  revokedAt: Time.optional(),
  revocationReason: RevocationReason.optional(),
});
export type IssuedCertificate = z.infer<typeof IssuedCertificate>;

export const listCertificates = operation('est-ca.list-certificates', {
  idempotent: true,
  input: PageRequest.extend({ account: Account, deviceId: DeviceId.optional() }),
  output: pageOf(IssuedCertificate),
  errors: [],
});

/** Which devices these certificates were issued to. Those that were not issued here are left out. */
export const identifyCertificates = operation('est-ca.identify-certificates', {
  idempotent: true,
  input: z.object({ issuerKeyId: KeyId, serialNumbers: z.array(SerialNumber).max(1000) }),
  output: z.object({
    certificates: z.array(z.object({ serialNumber: SerialNumber, account: Account, deviceId: DeviceId })),
  }),
  errors: [],
});

/** Lifts the hold of a certificate that was revoked with `certificateHold`. Repeating it changes nothing. */
export const releaseCertificate = operation('est-ca.release', {
  input: z.object({ account: Account, serialNumber: SerialNumber, by: z.string() }),
  output: z.object({ released: z.boolean() }),
  errors: ['unknown-certificate', 'not-on-hold'],
});

/** Revokes one certificate by serial number, or all live ones of a device. Repeating it changes nothing. */
export const revokeCertificates = operation('est-ca.revoke', {
  input: z.object({
    account: Account,
    serialNumber: SerialNumber.optional(),
    deviceId: DeviceId.optional(),
    reason: RevocationReason.default('unspecified'),
    by: z.string(),
  }),
  output: z.object({ revoked: z.array(SerialNumber) }),
  errors: ['unknown-certificate'],
});
