import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { deviceTlsOptions, reloadTls } from '@signet/pki';
import {
  ConnectionGuard,
  type ConnectionOptions,
  type Logger,
  type ServerCertificate,
} from '@signet/service';

/** Node's own deadline starts anew with each octet, and only tells of it: the guard's comes first. */
const NODES_OWN_MS = 600_000;

export type TlsListener = {
  readonly port: number;
  /** Takes no more connections; resolves when those that are left are gone. */
  stop(): Promise<void>;
  /** Ends whatever is still connected. */
  cut(): void;
};

/**
 * A mutual-TLS listener for MQTT. `onConnection` is called at `secureConnection`, before anything is read; from then on
 * the connection counts as unfinished until it is given to `finishConnection`, at CONNECT.
 */
export async function listenTls(options: {
  readonly port: number;
  readonly host: string;
  readonly certificate: Pick<ServerCertificate, 'current' | 'onChange'>;
  readonly log: Logger;
  readonly onConnection: (socket: TLSSocket) => void;
  readonly connections: ConnectionOptions;
}): Promise<TlsListener> {
  const { certificate, log, onConnection, connections } = options;
  const server = createServer({ ...deviceTlsOptions(certificate.current()), handshakeTimeout: NODES_OWN_MS });
  new ConnectionGuard(server, { ...connections, log });
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
