import type { VerifiedPeer } from '@signet/pki';
import { EnrollmentError } from '../../domain/enrollment-error.ts';
import type { Label } from '../../domain/profile/profile.ts';
import { parseCertificateId } from '../../domain/renewal/renewal-info.ts';
import type { Answer } from './answer.ts';
import type { EstServices } from './est-services.ts';
import { WireError } from './wire-error.ts';

const OPEN_TO_EXPIRED: ReadonlySet<string> = new Set([
  'simplereenroll',
  'renewal-info',
  'attestation-nonce',
  'attestation-challenge',
  'attestation',
]);

/** A certificate that has expired opens the way to its renewal and nothing else. @throws EnrollmentError `expired` */
export function forRenewalOnly(peer: VerifiedPeer | undefined, operation: string): void {
  if (peer?.expired !== true || OPEN_TO_EXPIRED.has(operation)) return;
  const end = new Date(peer.certificate.notAfter).toISOString();
  throw new EnrollmentError(
    'expired',
    `certificate: expired at ${end}; it may renew itself, and nothing else`,
  );
}

/** The document of RFC 9773 §4.2. */
export async function renewalInfoAnswer(
  services: Pick<EstServices, 'renewalInfo'>,
  asked: {
    readonly label: Label | undefined;
    readonly subject: string | undefined;
    readonly peer: VerifiedPeer | undefined;
  },
): Promise<Answer> {
  const { label, subject, peer } = asked;
  const certificate = subject === undefined ? undefined : parseCertificateId(subject);
  if (subject !== undefined && certificate === undefined)
    throw new WireError(
      400,
      'path: renewal-info/<authority key id>.<serial number>, both base64url, expected',
    );
  const { start, end, retryAfter } = await services.renewalInfo({ label, peer, certificate });
  const suggestedWindow = { start: new Date(start).toISOString(), end: new Date(end).toISOString() };
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json', 'Retry-After': String(retryAfter) },
    body: JSON.stringify({ suggestedWindow }),
  };
}
