import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer, type TLSSocket } from 'node:tls';
import { deviceTlsOptions, reloadTls } from '@signet/pki';
import {
  ConnectionGuard,
  type ConnectionOptions,
  type Logger,
  type ServerCertificate,
  sessionEndOf,
} from '@signet/service';
import type { Client } from 'aedes';

/** Node's own deadline starts anew with each byte, and only tells of it: the guard's comes first. */
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

/** How long a peer has to answer, ms. */
const GRACE_MS = 2000;

/**
 * Makes `destroy()`, by which aedes ends connections, an orderly end: what was written goes out, TLS is closed with
 * close_notify, and what still comes is thrown away until the peer has closed too (a reset would take from it what it
 * has not read yet). At once it ends where the certificate is denied or has expired, where the peer does not read, and
 * where the network has failed.
 *
 * `ended` is called soon after the first `destroy()`: the client is to be closed then, which otherwise happens only when
 * the socket is gone.
 */
export function closeWithNotify(socket: TLSSocket, ended: () => void): void {
  const destroy = socket.destroy.bind(socket);
  let isEnding = false;
  const cut = (error?: Error): TLSSocket => {
    isEnding = true;
    return destroy(error);
  };
  const isOver = () => socket.destroyed || (socket.readableEnded && socket.writableFinished);
  socket.destroy = (error?: Error): TLSSocket => {
    if (isOver() || sessionEndOf(socket) !== undefined) return cut(error);
    if (isEnding) return isWrittenTooLate(error) ? socket : cut(error);
    if (isOfTheNetwork(error) || socket.writableNeedDrain) return cut(error);
    isEnding = true;
    setImmediate(ended);
    const timer = setTimeout(destroy, GRACE_MS);
    socket.once('close', () => clearTimeout(timer));
    socket.removeAllListeners('data');
    socket.resume();
    socket.end();
    return socket;
  };
}

/** aedes closes a client after its connection, and may have answers for it in between. */
function isWrittenTooLate(error: Error | undefined): boolean {
  return error === undefined || codeOf(error) === 'ERR_STREAM_WRITE_AFTER_END';
}

/** Errors of sockets and of TLS have a system call or a code of these. */
function isOfTheNetwork(error: Error | undefined): boolean {
  return error !== undefined && ('syscall' in error || /^ERR_(SSL|TLS)_/.test(codeOf(error)));
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

const STEP_MS = 50;
/** What a stop has for its sessions, of the time that it may take. */
const SHARE = 0.6;

export type DrainLimits = {
  /** Sessions that a stopping node ends in a second. */
  readonly drainPerSecond: number;
  /** What a stop may take, s. */
  readonly stopSeconds: number;
};

/**
 * Closes all clients at a set rate, so that the nodes which take them over are not flooded; faster where the stop would
 * take too long.
 */
export async function drain(
  clients: Set<Client>,
  { drainPerSecond, stopSeconds }: DrainLimits,
): Promise<void> {
  const steps = (stopSeconds * 1000 * SHARE) / STEP_MS;
  const atOnce = Math.ceil(Math.max((drainPerSecond * STEP_MS) / 1000, clients.size / steps));
  while (clients.size > 0) {
    const some = [...clients].slice(0, atOnce);
    for (const client of some) clients.delete(client);
    await Promise.all(some.map((client) => new Promise<void>((resolve) => client.close(() => resolve()))));
    if (clients.size > 0) await sleep(STEP_MS);
  }
}
