import type { Profile } from '../profile/profile.ts';
import { EnrollmentError } from './enrollment-error.ts';

/** Base64 of the connection's channel binding: tls-unique on TLS 1.2, tls-exporter (RFC 9266) on TLS 1.3. */
export type ChannelBinding = () => string | undefined;

/** Octets of tls-unique (RFC 5929 §3, verify_data of TLS 1.2) and of tls-exporter (RFC 9266 §2). */
const BINDING_OCTETS: ReadonlySet<number> = new Set([12, 32]);

/** Whether a text has the form of a channel binding. */
export function isChannelBinding(text: string): boolean {
  const octets = Buffer.from(text, 'base64');
  return BINDING_OCTETS.has(octets.length) && octets.toString('base64') === text;
}

/**
 * Linking of identity and proof of possession (RFC 7030 §3.5): the challengePassword of the CSR is the channel binding
 * of the connection that it came on.
 * @throws EnrollmentError `wrong-binding`
 */
export function requireLinking(
  profile: Pick<Profile, 'id' | 'popLinking'>,
  challengePassword: string | undefined,
  binding: ChannelBinding,
): void {
  if (!profile.popLinking) return;
  const required = `profile "${profile.id}" requires linking of identity and proof of possession (RFC 7030 §3.5): tls-unique on TLS 1.2, EXPORTER-Channel-Binding on TLS 1.3, in base64`;
  if (challengePassword === undefined)
    throw new EnrollmentError('wrong-binding', `challengePassword: missing; ${required}`);
  if (challengePassword !== binding())
    throw new EnrollmentError(
      'wrong-binding',
      `challengePassword: is not the channel binding of this connection; ${required}`,
    );
}

/** What need not be there but is must be right. @throws EnrollmentError `wrong-binding` */
export function verifyOptionalBinding(challengePassword: string | undefined, binding: ChannelBinding): void {
  if (challengePassword !== undefined && challengePassword !== binding())
    throw new EnrollmentError(
      'wrong-binding',
      'challengePassword: is not the channel binding of this connection (RFC 7030 §3.5)',
    );
}
