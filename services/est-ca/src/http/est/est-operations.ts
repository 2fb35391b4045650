import { PLATFORM_ACCOUNT } from '@signet/contracts';
import { encodeCertsOnly } from '@signet/pki';
import { type EnrollCtx, type Enrolled, enroll, reenroll } from '../../domain/enrollment/enroll.ts';
import { EnrollmentError } from '../../domain/est/enrollment-error.ts';
import { csrAttributesOf } from '../../domain/profile/asked-attributes.ts';
import type { Label, RequireAccount } from '../../domain/profile/profile.ts';
import { parseCertificateId, type RenewalInfoCtx, renewalInfo } from '../../domain/renewal/renewal-info.ts';
import { giveAnchors } from '../../domain/root-rollover/adoption.ts';
import {
  type EnvelopKey,
  enrollWithServerKey,
  type KeyEnrolled,
} from '../../domain/server-keygen/server-keygen.ts';
import { type AttestationCtx, attestationResponse } from './attestation.ts';
import { decodeCsrBody, type EstRequest, parseBasicCredentials, requirePkcs10 } from './est-request.ts';
import { base64Body, type EstResponse, text, WireError, type Wrapping } from './est-response.ts';

/** The collaborators of the EST operations. */
export type EstCtx = EnrollCtx &
  AttestationCtx &
  RenewalInfoCtx &
  Parameters<typeof giveAnchors>[0] & {
    readonly envelopKey: EnvelopKey;
    readonly requireAccount: RequireAccount;
  };

/** A response, and what was enrolled if it is one to an enrolment. */
export type Outcome = {
  readonly response: EstResponse;
  readonly enrolled?: Enrolled & { readonly renewed: boolean };
};

/** Carries out one EST operation: decodes, calls one use case, encodes. @throws EnrollmentError, WireError */
export async function perform(ctx: EstCtx, request: EstRequest): Promise<Outcome> {
  requireUnexpired(request);
  if (request.route.label !== undefined) await ctx.requireAccount(request.route.label.account);
  switch (request.route.operation) {
    case 'cacerts':
      return { response: await caCertificates(ctx, request) };
    case 'csrattrs':
      return { response: await csrAttributes(ctx, request) };
    case 'simpleenroll': {
      const enrolled = await enroll(ctx, enrollRequestOf(request));
      return { response: certificate(enrolled, request), enrolled: { ...enrolled, renewed: false } };
    }
    case 'simplereenroll': {
      const enrolled = await reenroll(ctx, enrollRequestOf(request));
      return { response: certificate(enrolled, request), enrolled: { ...enrolled, renewed: true } };
    }
    case 'serverkeygen':
      return serverKeygen(ctx, request);
    case 'renewal-info':
      return { response: await renewalInfoResponse(ctx, request) };
    case 'attestation-nonce':
    case 'attestation-challenge':
    case 'attestation':
      return { response: await attestationResponse(ctx, request) };
    default:
      return { response: notImplemented(request) };
  }
}

const OPEN_TO_EXPIRED: ReadonlySet<string> = new Set([
  'simplereenroll',
  'renewal-info',
  'attestation-nonce',
  'attestation-challenge',
  'attestation',
]);

/** A certificate that has expired opens the way to its renewal and nothing else. @throws EnrollmentError `expired` */
function requireUnexpired({ peer, route }: EstRequest): void {
  if (peer?.expired !== true || OPEN_TO_EXPIRED.has(route.operation)) return;
  const end = new Date(peer.certificate.notAfter).toISOString();
  throw new EnrollmentError(
    'expired',
    `certificate: expired at ${end}; it may renew itself, and nothing else`,
  );
}

/** DER of every CA that devices of an account may meet; without an account, of the platform's (RFC 7030 §4.1). */
async function caCertificates(ctx: EstCtx, request: EstRequest): Promise<EstResponse> {
  const { route, peer } = request;
  const certificates = await giveAnchors(ctx, route.label?.account ?? peer?.account, peer);
  const wrapping = await wrappingOf(ctx, route.label);
  return encoded('application/pkcs7-mime', encodeCertsOnly(certificates), wrapping, request);
}

/** RFC 7030 §4.5. */
async function csrAttributes(ctx: EstCtx, request: EstRequest): Promise<EstResponse> {
  const { label } = request.route;
  const account = request.peer?.account ?? PLATFORM_ACCOUNT;
  const profile = await ctx.findProfile(label ?? { account, profile: 'default' });
  const wrapping = label === undefined ? 'auto' : profile.responseWrapping;
  return encoded('application/csrattrs', csrAttributesOf(profile), wrapping, request);
}

/** @throws WireError 415; EnrollmentError `malformed-request` */
function enrollRequestOf({ contentType, body, route, authorization, peer, channelBinding }: EstRequest) {
  requirePkcs10(contentType);
  const basic = parseBasicCredentials(authorization);
  return { csr: decodeCsrBody(body), label: route.label, basic, peer, channelBinding };
}

/** The issued certificate alone (RFC 7030 §4.2.3). */
function certificate({ der, profile }: Enrolled, request: EstRequest): EstResponse {
  const type = 'application/pkcs7-mime; smime-type=certs-only';
  return encoded(type, encodeCertsOnly([der]), profile.responseWrapping, request);
}

/** RFC 7030 §4.4. */
async function serverKeygen(ctx: EstCtx, request: EstRequest): Promise<Outcome> {
  requirePkcs10(request.contentType);
  if (await isKeygenOff(ctx, request)) return { response: notImplemented(request) };
  const made = await enrollWithServerKey(ctx, enrollRequestOf(request));
  if (made === undefined) return { response: notImplemented(request) };
  const { key: _key, ...enrolled } = made;
  return { response: keyAndCertificate(made, request), enrolled: { ...enrolled, renewed: false } };
}

/** Whether no key is made below this label, or, without one, for somebody who proves nothing. */
async function isKeygenOff(
  ctx: EstCtx,
  { route: { label }, authorization, peer }: EstRequest,
): Promise<boolean> {
  if (label === undefined) return authorization === undefined && peer === undefined;
  return !(await ctx.findProfile(label)).serverKeygen;
}

/** No line of base64 looks like it. */
const BOUNDARY = 'signet-est-key-and-certificate';

/** Key and certificate as `multipart/mixed` (RFC 7030 §4.4.2). The bytes of the key are wiped once they are written. */
function keyAndCertificate(
  { key, der, profile }: KeyEnrolled,
  { userAgent }: Pick<EstRequest, 'userAgent'>,
): EstResponse {
  const part = (type: string, content: Uint8Array): string => {
    const body = base64Body(content, profile.responseWrapping, userAgent);
    const end = body.endsWith('\n') ? '' : '\r\n';
    return `--${BOUNDARY}\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: base64\r\n\r\n${body.replaceAll('\n', '\r\n')}${end}`;
  };
  const keyType = key.enveloped
    ? 'application/pkcs7-mime; smime-type=server-generated-key'
    : 'application/pkcs8';
  const parts = [
    part(keyType, key.der),
    part('application/pkcs7-mime; smime-type=certs-only', encodeCertsOnly([der])),
  ];
  key.der.fill(0);
  return {
    status: 200,
    headers: {
      'Content-Type': `multipart/mixed; boundary=${BOUNDARY}`,
      'Cache-Control': 'no-store',
      Pragma: 'no-cache',
    },
    body: `${parts.join('')}--${BOUNDARY}--\r\n`,
  };
}

/** The document of RFC 9773 §4.2. */
async function renewalInfoResponse(ctx: EstCtx, { route, peer }: EstRequest): Promise<EstResponse> {
  const { label, subject } = route;
  const named = subject === undefined ? undefined : parseCertificateId(subject);
  if (subject !== undefined && named === undefined)
    throw new WireError(
      400,
      'path: renewal-info/<authority key id>.<serial number>, both base64url, expected',
    );
  const { start, end, retryAfter } = await renewalInfo(ctx, { label, peer, certificate: named });
  const suggestedWindow = { start: new Date(start).toISOString(), end: new Date(end).toISOString() };
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json', 'Retry-After': String(retryAfter) },
    body: JSON.stringify({ suggestedWindow }),
  };
}

function notImplemented({ route }: { readonly route: { readonly operation: string } }): EstResponse {
  return text(501, `${route.operation}: not implemented by this server`);
}

async function wrappingOf(ctx: EstCtx, label: Label | undefined): Promise<Wrapping> {
  return label === undefined ? 'auto' : (await ctx.findProfile(label)).responseWrapping;
}

/** Content-Transfer-Encoding is deprecated (RFC 8951 §3.1), but some clients decode only with it. */
function encoded(
  type: string,
  content: Uint8Array,
  wrapping: Wrapping,
  { userAgent }: Pick<EstRequest, 'userAgent'>,
): EstResponse {
  return {
    status: 200,
    headers: { 'Content-Type': type, 'Content-Transfer-Encoding': 'base64' },
    body: base64Body(content, wrapping, userAgent),
  };
}
