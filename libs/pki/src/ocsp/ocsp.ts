import type { CrlReason } from '../crl/crl.ts';

/** OIDs of OCSP (RFC 6960, RFC 9654). */
export const OCSP_OID = {
  basic: '1.3.6.1.5.5.7.48.1.1',
  nonce: '1.3.6.1.5.5.7.48.1.2',
} as const;

/** Hash algorithms in which a CertID may name its issuer. */
export const certIdHashes = {
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
} as const;
export type CertIdHash = keyof typeof certIdHashes;

/** Which certificate is asked about (RFC 6960 §4.1.1). */
export type CertId = {
  /** The CertID as it came, to be given back byte by byte. */
  readonly der: Uint8Array;
  /** Absent for an algorithm that is not known. */
  readonly hash?: CertIdHash;
  /** Hash of the issuer's name, hex. */
  readonly issuerNameHash: string;
  /** Hash of the issuer's key, hex. */
  readonly issuerKeyHash: string;
  /** Lower-case hex without leading zero bytes. */
  readonly serialNumber: string;
};

/** An OCSPRequest. Its signature, if it has one, means nothing here. */
export type OcspRequest = {
  readonly certIds: readonly CertId[];
  /** The nonce's bytes, 1 to 128 (RFC 9654 §2.1). */
  readonly nonce?: Uint8Array;
};

/** What a responder says of a certificate; times in Unix milliseconds. */
export type OcspStatus =
  | { readonly status: 'good' }
  | { readonly status: 'unknown' }
  | { readonly status: 'revoked'; readonly revokedAt: number; readonly reason?: CrlReason };

/** Answers without a certificate's status (RFC 6960 §4.2.1). */
export const ocspFailures = {
  malformedRequest: 1,
  internalError: 2,
  tryLater: 3,
  sigRequired: 5,
  unauthorized: 6,
} as const;
export type OcspFailure = keyof typeof ocspFailures;

/** A request of a few certificates needs no more; most have some hundred bytes. */
export const MAX_OCSP_REQUEST_BYTES = 8 * 1024;
/** Certificates that one request may ask about. */
export const MAX_CERT_IDS = 16;
export const MAX_NONCE_BYTES = 128;
