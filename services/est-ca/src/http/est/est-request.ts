import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { decodeBase64, decodePem, PkiError, type VerifiedPeer } from '@signet/pki';
import type { ChannelBinding } from '../../domain/enrollment/csr-policy.ts';
import { EnrollmentError } from '../../domain/est/enrollment-error.ts';
import { estOperations } from '../../domain/est/est-operation.ts';
import { type Label, parseLabel } from '../../domain/profile/profile.ts';
import { WireError } from './est-response.ts';

/** A request, whole. */
export type EstHttpRequest = {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly socket: Socket;
  readonly body: Uint8Array | undefined;
};

/** A request whose operation, label and method are known to be right. */
export type EstRoute = {
  readonly operation: string;
  readonly label: Label | undefined;
  readonly subject?: string | undefined;
};

/**
 * RFC 7030 §3.2.2.
 * @throws WireError 404 for an unknown operation, 405 with Allow; EnrollmentError `unknown-profile` for what is no label
 */
export function routeOf(method: string, url: string): EstRoute {
  const path = parseEstPath(url);
  const allowed = path === undefined ? undefined : estOperations.get(path.operation);
  if (path === undefined || allowed === undefined)
    throw new WireError(404, 'path: /.well-known/est/[<label>/]<operation> expected');
  if (method !== allowed)
    throw new WireError(405, `method: ${path.operation} is asked for by ${allowed}`, { Allow: allowed });
  const { operation, subject } = path;
  if (path.label === undefined) return { operation, label: undefined, subject };
  const label = parseLabel(path.label);
  if (label === undefined)
    throw new EnrollmentError('unknown-profile', 'label: <account> or <account>.<profile> expected');
  return { operation, label, subject };
}

/** @throws WireError 415; parameters and case do not matter */
export function requirePkcs10(contentType: string | undefined): void {
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/pkcs10') throw new WireError(415, 'Content-Type: application/pkcs10 expected');
}

const PREFIX = '/.well-known/est/';

/** What a request asks for: an operation, below a label if one is given (RFC 7030 §3.2.2), and what it is about. */
export type EstPath = {
  readonly label: string | undefined;
  readonly operation: string;
  /** `renewal-info` only. */
  readonly subject?: string;
};

/** The parts of `/.well-known/est/[<label>/]<operation>`, or undefined where it is none. A query is passed over. */
export function parseEstPath(url: string): EstPath | undefined {
  const path = url.split('?', 1)[0] ?? '';
  if (!path.startsWith(PREFIX)) return undefined;
  const segments = path.slice(PREFIX.length).split('/');
  if (segments.some((segment) => !/^[A-Za-z0-9._-]+$/.test(segment))) return undefined;
  const about = segments.indexOf('renewal-info');
  const subject = about >= 0 && about === segments.length - 2 ? segments.pop() : undefined;
  const [first = '', second, ...rest] = segments;
  if (rest.length > 0) return undefined;
  if (subject !== undefined)
    return { label: about === 0 ? undefined : first, operation: 'renewal-info', subject };
  return second === undefined ? { label: undefined, operation: first } : { label: first, operation: second };
}

/**
 * The DER of a CSR in a request's body: base64 (RFC 8951 §3.1: whatever its line breaks), or PEM, which some clients
 * send in its place.
 * @throws EnrollmentError `malformed-request`
 */
export function decodeCsrBody(body: Uint8Array | undefined): Uint8Array {
  if (body === undefined || body.length === 0)
    throw new EnrollmentError('malformed-request', 'body: empty; a PKCS#10 request in base64 expected');
  const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1');
  try {
    return text.includes('-----BEGIN ')
      ? decodePem(text, 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')
      : decodeBase64(text, 'body');
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new EnrollmentError('malformed-request', cause.message, { cause });
  }
}

/** User name and password of HTTP Basic (RFC 7617). */
export type BasicCredentials = { readonly username: string; readonly password: string };

/** The credentials of an `Authorization` header; undefined where it has none of this scheme, or none that can be read. */
export function parseBasicCredentials(header: string | undefined): BasicCredentials | undefined {
  const match = /^Basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(header ?? '');
  if (match === null) return undefined;
  const text = Buffer.from(match[1] ?? '', 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

const EXPORTER_BYTES = 32;

/**
 * Base64 of the channel binding of a device's connection, as its CSR's challengePassword has it (RFC 7030 §3.5):
 * tls-unique on TLS 1.2 (RFC 5929 §3: with neither resumption nor renegotiation, the client's Finished message), on
 * TLS 1.3 tls-exporter (RFC 9266 §2).
 */
export function channelBindingOf(socket: Socket): string | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  switch (socket.getProtocol()) {
    case 'TLSv1.3':
      return socket
        .exportKeyingMaterial(EXPORTER_BYTES, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
        .toString('base64');
    case 'TLSv1.2':
      return socket.getPeerFinished()?.toString('base64');
    default:
      return undefined;
  }
}

/** What of an HTTP request an operation reads. */
export type EstRequest = {
  readonly route: EstRoute;
  readonly peer: VerifiedPeer | undefined;
  readonly userAgent: string | undefined;
  readonly contentType: string | undefined;
  readonly authorization: string | undefined;
  readonly body: Uint8Array | undefined;
  readonly channelBinding: ChannelBinding;
};
