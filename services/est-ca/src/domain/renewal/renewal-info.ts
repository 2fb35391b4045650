import type { VerifiedPeer } from '@signet/pki';
import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import { EnrollmentError } from '../est/enrollment-error.ts';
import type { Label } from '../profile/profile.ts';
import type { RenewalPlanner } from './renewal-planner.ts';

export type RenewalInfoCtx = {
  readonly certificates: Pick<Certificates, 'get'>;
  readonly planner: RenewalPlanner;
  readonly now: () => number;
};

/** Within this window the device picks its time; Unix milliseconds. */
export type RenewalInfo = {
  readonly start: number;
  readonly end: number;
  /** Seconds until it is worth asking again. */
  readonly retryAfter: number;
};

export type RenewalInfoRequest = {
  readonly label: Label | undefined;
  readonly peer: VerifiedPeer | undefined;
  /** Absent: that of the handshake is meant. */
  readonly certificate: CertificateId | undefined;
};

const WINDOW_MS = 1000;
const ASK_AGAIN_SECONDS = 6 * 3600;
const MIN_RETRY_SECONDS = 60;

/**
 * When a certificate is best renewed, in the manner of RFC 9773 §4. Serial numbers are 128 random bits: whoever names
 * one knows the certificate, so no authentication is asked for. A revoked one is to be replaced at once.
 * @throws EnrollmentError `no-certificate`, `unknown-device`, `wrong-account`
 */
export async function renewalInfo(ctx: RenewalInfoCtx, request: RenewalInfoRequest): Promise<RenewalInfo> {
  const record = await recordOf(ctx.certificates, request);
  if (request.label !== undefined && request.label.account !== record.account)
    throw new EnrollmentError(
      'wrong-account',
      `label: the certificate is not one of account "${request.label.account}"`,
    );
  const now = ctx.now();
  const start = record.revokedAt === undefined ? await ctx.planner.timeFor(record) : now - WINDOW_MS;
  const untilStart = Math.ceil((start - now) / 1000);
  return {
    start,
    end: start + WINDOW_MS,
    retryAfter: Math.max(MIN_RETRY_SECONDS, Math.min(ASK_AGAIN_SECONDS, untilStart)),
  };
}

async function recordOf(
  certificates: Pick<Certificates, 'get'>,
  { peer, certificate }: RenewalInfoRequest,
): Promise<CertificateRecord> {
  const asked = certificate ?? idOfPeer(peer);
  const record = await certificates.get(asked.serialNumber);
  if (record !== undefined && record.issuerKeyId === asked.issuerKeyId) return record;
  throw new EnrollmentError(
    'unknown-device',
    `certificate: ${asked.serialNumber} is not on the record of issued certificates`,
  );
}

function idOfPeer(peer: VerifiedPeer | undefined): CertificateId {
  if (peer?.purpose !== 'operational')
    throw new EnrollmentError(
      'no-certificate',
      'certificate: name one in the path, or show an operational one in the TLS handshake',
    );
  return { serialNumber: peer.certificate.serialNumber, issuerKeyId: peer.certificate.authorityKeyId ?? '' };
}

/** A certificate by issuer and serial number, both lower-case hex. */
export type CertificateId = { readonly issuerKeyId: string; readonly serialNumber: string };

const BASE64URL = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * The certificate that a path segment names: authority key id and serial number, each in base64url without padding, with
 * a dot in between (RFC 9773 §4.1). Undefined where it names none.
 */
export function parseCertificateId(text: string): CertificateId | undefined {
  const [keyId = '', serial = '', ...rest] = text.split('.');
  if (rest.length > 0 || !BASE64URL.test(keyId) || !BASE64URL.test(serial)) return undefined;
  const serialNumber = hex(serial).replace(/^(00)+(?=.)/, '');
  return { issuerKeyId: hex(keyId), serialNumber };
}

/** The inverse of {@link parseCertificateId}. */
export function formatCertificateId({ issuerKeyId, serialNumber }: CertificateId): string {
  const serial = Number.parseInt(serialNumber.slice(0, 2), 16) >= 0x80 ? `00${serialNumber}` : serialNumber;
  return `${base64url(issuerKeyId)}.${base64url(serial)}`;
}

const hex = (text: string): string => Buffer.from(text, 'base64url').toString('hex');
const base64url = (text: string): string => Buffer.from(text, 'hex').toString('base64url');
