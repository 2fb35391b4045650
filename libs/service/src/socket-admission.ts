import type { EndReason } from '@signet/denylist';
import type { PeerRefusal, VerifiedPeer } from '@signet/pki';

/** What the gate made of a connection. */
export type SocketAdmission =
  | { readonly kind: 'verified'; readonly peer: VerifiedPeer; readonly address: string }
  /** Only where the gate allows it: no certificate was shown. */
  | { readonly kind: 'anonymous'; readonly address: string }
  | { readonly kind: 'refused'; readonly refusal: PeerRefusal; readonly address: string };

/** Why the platform ended a session: denied, past its notAfter, or its CA is not in force any more. */
export type SessionEnd = EndReason | 'untrusted';

const admissions = new WeakMap<object, SocketAdmission>();
const ends = new WeakMap<object, SessionEnd>();

/** What the gate made of this socket; undefined for sockets that never passed one. */
export function admissionOf(socket: object): SocketAdmission | undefined {
  return admissions.get(socket);
}

/** The verified peer of this socket, if the gate let it in with a certificate. */
export function peerOf(socket: object): VerifiedPeer | undefined {
  const admission = admissions.get(socket);
  return admission?.kind === 'verified' ? admission.peer : undefined;
}

/** Why the platform ended this socket's session; undefined while it lives, and where the peer left by itself. */
export function sessionEndOf(socket: object): SessionEnd | undefined {
  return ends.get(socket);
}

/** For the gate alone. */
export function recordAdmission(socket: object, admission: SocketAdmission): void {
  admissions.set(socket, admission);
}

/** For the gate alone. */
export function recordEnd(socket: object, reason: SessionEnd): void {
  ends.set(socket, reason);
}
