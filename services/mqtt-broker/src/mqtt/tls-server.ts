import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { deviceTlsOptions, reloadTls } from '@signet/pki';
import type { Logger, ServerCertificate } from '@signet/service';

const HANDSHAKE_MS = 10_000;

/** A mutual-TLS listener for MQTT. `onConnection` is called at `secureConnection`, before anything is read. */
export async function listenTls(options: {
  readonly port: number;
  readonly host: string;
  readonly certificate: Pick<ServerCertificate, 'current' | 'onChange'>;
  readonly log: Logger;
  readonly onConnection: (socket: TLSSocket) => void;
}): Promise<AsyncDisposable & { readonly port: number }> {
  const { certificate, log, onConnection } = options;
  const server = createServer({ ...deviceTlsOptions(certificate.current()), handshakeTimeout: HANDSHAKE_MS });
  const sockets = new Set<TLSSocket>();
  server.on('secureConnection', (socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    onConnection(socket);
  });
  server.on('tlsClientError', (error, socket) => {
    log.debug({ err: error, address: socket.remoteAddress }, 'mqtt: handshake failed');
  });
  server.listen(options.port, options.host);
  await once(server, 'listening');
  const reloads = certificate.onChange((identity) => reloadTls(server, identity));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      reloads[Symbol.dispose]();
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
