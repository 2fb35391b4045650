import type { TLSSocket } from 'node:tls';

/**
 * DER of the certificate whose key the peer proved to hold in this connection's handshake; undefined where it showed
 * none, or resumed another session, which proves nothing now. `socket.authorized` does not tell: many
 * versions of Node say true of a TLS 1.3 resumption without any certificate.
 */
export function leafOf(socket: TLSSocket): Uint8Array | undefined {
  if (socket.isSessionReused()) return undefined;
  return socket.getPeerX509Certificate()?.raw;
}
