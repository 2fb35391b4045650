import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

const EXPORTER_OCTETS = 32;

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
        .exportKeyingMaterial(EXPORTER_OCTETS, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
        .toString('base64');
    case 'TLSv1.2':
      return socket.getPeerFinished()?.toString('base64');
    default:
      return undefined;
  }
}
