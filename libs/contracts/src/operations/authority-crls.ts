import { z } from 'zod';
import { Account, Pem, RevocationReason, SerialNumber, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';

/** What the CRL of a root says, where that root is kept by its account. */
export const RootCrl = z.object({
  number: z.number().int(),
  thisUpdate: Time,
  nextUpdate: Time,
  entries: z.number().int(),
  uploadedAt: Time,
  uploadedBy: z.string(),
});
export type RootCrl = z.infer<typeof RootCrl>;

/** What the next CRL of a root has to say. Whoever has the root's key signs it. */
export const RootCrlRequest = z.object({
  authorityId: z.string(),
  /** Of the root. */
  certificate: Pem,
  /** The least number that is taken. */
  number: z.number().int(),
  entries: z.array(
    z.object({
      serialNumber: SerialNumber,
      revokedAt: Time,
      reason: RevocationReason.optional(),
      /** The CA whose certificate it is, where that is one of the account's. */
      authorityId: z.string().optional(),
    }),
  ),
});
export type RootCrlRequest = z.infer<typeof RootCrlRequest>;

/** The CRL of a root that the account keeps: what the next one must list, and which one is served now. */
export const describeRootCrl = operation('est-ca.describe-root-crl', {
  idempotent: true,
  input: z.object({ account: Account, authorityId: z.string() }),
  output: z.object({ request: RootCrlRequest, current: RootCrl.optional() }),
  errors: ['unknown-authority', 'bad-crl'],
});

/**
 * Takes the CRL that the root of an account signed offline. Its number has to rise, it must not list less than the one
 * before, and must list every revoked CA below the root. Repeating the upload changes nothing.
 */
export const uploadRootCrl = operation('est-ca.upload-root-crl', {
  input: z.object({
    account: Account,
    authorityId: z.string(),
    /** PEM (`X509 CRL`), or DER in base64. */
    crl: z.string().max(1_000_000),
    by: z.string(),
  }),
  output: z.object({ current: RootCrl }),
  errors: ['unknown-authority', 'bad-crl', 'crl-number', 'crl-lists-less'],
});
