import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { deviceTlsOptions, reloadTls } from '@signet/pki';
import type { Logger, ServerCertificate } from '@signet/service';

export type TlsListener = {
  readonly port: number;
  /** Takes no more connections; resolves when those that are left are gone. */
  stop(): Promise<void>;
  /** Ends whatever is still connected. */
  cut(): void;
};

/** A mutual-TLS listener for MQTT. `onConnection` is called at `secureConnection`, before anything is read. */
export async function listenTls(options: {
  readonly port: number;
  readonly host: string;
  readonly certificate: Pick<ServerCertificate, 'current' | 'onChange'>;
  readonly log: Logger;
  readonly onConnection: (socket: TLSSocket) => void;
  readonly handshakeMs: number;
  /** Further ones are closed at once. Default: no bound. */
  readonly maxConnections?: number;
}): Promise<TlsListener> {
  const { certificate, log, onConnection, handshakeMs, maxConnections } = options;
  const server = createServer({ ...deviceTlsOptions(certificate.current()), handshakeTimeout: handshakeMs });
  if (maxConnections !== undefined) server.maxConnections = maxConnections;
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('secureConnection', (socket) => {
    socket.setNoDelay(true);
    onConnection(socket);
  });
  server.on('tlsClientError', (error, socket) => {
    log.debug({ err: error, address: socket.remoteAddress }, 'mqtt: handshake failed');
  });
  server.on('drop', (dropped) => {
    log.warn({ address: dropped?.remoteAddress }, 'mqtt: too many connections, one dropped');
  });
  server.listen(options.port, options.host);
  await once(server, 'listening');
  const reloads = certificate.onChange((identity) => reloadTls(server, identity));
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      reloads[Symbol.dispose]();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
  };
}
