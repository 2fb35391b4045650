import type { Server, Socket } from 'node:net';
import { type TLSSocket, Server as TlsServer } from 'node:tls';
import type { Logger } from '../logger.ts';
import { addressGroup } from './address-group.ts';
import {
  type ConnectionLimits,
  type ConnectionOptions,
  defaultConnectionLimits,
} from './connection-limits.ts';
import { Crowd } from './crowd.ts';

/** Why a connection was closed, as `signet_connections_dropped_total{listener,reason}` counts it. */
export type DropReason =
  | 'handshake-timeout'
  | 'request-timeout'
  | 'unfinished'
  | 'unfinished-per-address'
  | 'connections'
  | 'connections-per-address';

/** What a peer still owes: while it does, its connection counts as unfinished. */
type Owed = 'handshake' | 'request' | 'body';

type Connection = {
  readonly group: string;
  /** What is destroyed, and answered where that is possible; of a finished handshake the TLS socket. */
  socket: Socket;
  owes: Owed | undefined;
  /** `performance.now()`; none while a body is owed, which HTTP bounds itself. */
  deadline: number;
};

type GuardOptions = ConnectionOptions & {
  readonly log: Logger;
  /** Connections of this listener in all; with more, an unfinished one gives way, else the oldest of the address with most. */
  readonly maxConnections?: number;
  /** Tells the peer that its first request came too late, where the protocol has words for it; the socket is destroyed after it. */
  readonly tooLate?: (socket: Socket) => void;
};

const guarded = new WeakMap<object, { guard: ConnectionGuard; connection: Connection }>();

/**
 * The peer has said what it wants (CONNECT is in, or the request was authorized): from here its connection is bounded by
 * what its protocol bounds. Does nothing for sockets that no guard watches.
 */
export function finishConnection(socket: object): void {
  const found = guarded.get(socket);
  found?.guard.settle(found.connection);
}

/** The peer owes the body of a request: until it is in, its connection counts as unfinished again. */
export function awaitBody(socket: object): void {
  const found = guarded.get(socket);
  found?.guard.reopen(found.connection);
}

/**
 * Closes connections whose peers do not go on, on any kind of server: a deadline for the TLS handshake, one from there
 * to the first request, and a bound on connections amid either, in all and for one address. Where a bound is met, the
 * oldest of the address that has most of them gives way: a flood from one address closes its own connections, and
 * thousands of devices behind one address are not bounded once they have asked for something.
 */
export class ConnectionGuard implements Disposable {
  readonly #options: GuardOptions;
  readonly #limits: ConnectionLimits;
  readonly #unfinished = new Crowd<Connection>();
  /** All of them, where their number is bounded. */
  readonly #all: Crowd<Connection> | undefined;
  /** In order of their deadlines, for a TLS handshake and for a first request: of each the first is the next one due. */
  readonly #due = { handshake: new Set<Connection>(), request: new Set<Connection>() };
  /** Amid the handshake, by remote address and port: the TLS socket of `secureConnection` is another object. */
  readonly #handshakes = new Map<string, Connection>();
  readonly #gauge: Disposable | undefined;
  readonly #dropped;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #isDisposed = false;

  /** Begins with the next connection. */
  constructor(server: Server, options: GuardOptions) {
    this.#options = options;
    this.#limits = { ...defaultConnectionLimits, ...options.limits };
    this.#all = options.maxConnections !== undefined || this.#limits.perAddress > 0 ? new Crowd() : undefined;
    this.#dropped = options.metrics?.counter<{ listener: string; reason: DropReason }>(
      'signet_connections_dropped_total',
      'Connections that a listener closed because their peer did not go on, or because a bound was met',
    );
    this.#gauge = options.metrics?.gauge(
      'signet_unfinished_connections',
      'Connections amid their TLS handshake or first request',
      () => this.#unfinished.size,
      { listener: options.listener },
    );
    const isTls = server instanceof TlsServer;
    server.prependListener('connection', (socket) => this.#accept(socket, isTls));
    if (isTls) server.prependListener('secureConnection', (socket) => this.#secured(socket));
    server.once('close', () => this[Symbol.dispose]());
  }

  /** For {@link finishConnection}. */
  settle(connection: Connection): void {
    this.#owe(connection, undefined);
  }

  /** For {@link awaitBody}. */
  reopen(connection: Connection): void {
    if (connection.socket.destroyed) return;
    // one that is unfinished already has its place
    if (!this.#unfinished.has(connection)) this.#makeRoom(connection.group);
    this.#owe(connection, 'body');
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
    this.#gauge?.[Symbol.dispose]();
  }

  #accept(socket: Socket, isTls: boolean): void {
    const connection: Connection = {
      group: addressGroup(socket.remoteAddress),
      socket,
      owes: undefined,
      deadline: Number.POSITIVE_INFINITY,
    };
    if (!this.#admit(connection)) {
      // its TLS socket is not made yet, and would be made of nothing
      setImmediate(() => socket.destroy());
      return;
    }
    const key = isTls ? endOf(socket) : undefined;
    if (key !== undefined) this.#handshakes.set(key, connection);
    guarded.set(socket, { guard: this, connection });
    this.#all?.add(connection);
    this.#owe(connection, isTls ? 'handshake' : 'request');
    socket.once('close', () => {
      if (key !== undefined && this.#handshakes.get(key) === connection) this.#handshakes.delete(key);
      this.#owe(connection, undefined);
      this.#all?.remove(connection);
    });
  }

  #secured(socket: TLSSocket): void {
    const key = endOf(socket);
    const connection = this.#handshakes.get(key);
    if (connection === undefined) return;
    this.#handshakes.delete(key);
    connection.socket = socket;
    guarded.set(socket, { guard: this, connection });
    this.#owe(connection, 'request');
  }

  /** Makes room for one more. False where there is none, and it is closed itself. */
  #admit(connection: Connection): boolean {
    const { perAddress } = this.#limits;
    const all = this.#all;
    if (all !== undefined && perAddress > 0 && all.sizeOf(connection.group) >= perAddress) {
      this.#count(connection, 'connections-per-address');
      return false;
    }
    this.#makeRoom(connection.group);
    if (all !== undefined && all.size >= (this.#options.maxConnections ?? Number.POSITIVE_INFINITY))
      this.#drop(this.#unfinished.oldestOfLargest() ?? all.oldestOfLargest(), 'connections');
    return true;
  }

  #makeRoom(group: string): void {
    const { unfinished, unfinishedPerAddress } = this.#limits;
    if (this.#unfinished.sizeOf(group) >= unfinishedPerAddress)
      this.#drop(this.#unfinished.oldestOf(group), 'unfinished-per-address');
    if (this.#unfinished.size >= unfinished) this.#drop(this.#unfinished.oldestOfLargest(), 'unfinished');
  }

  #owe(connection: Connection, owes: Owed | undefined): void {
    this.#due.handshake.delete(connection);
    this.#due.request.delete(connection);
    connection.owes = owes;
    if (owes === undefined) {
      this.#unfinished.remove(connection);
      return;
    }
    this.#unfinished.add(connection);
    if (owes === 'body') return;
    const ms = owes === 'handshake' ? this.#limits.handshakeMs : this.#limits.requestMs;
    connection.deadline = performance.now() + ms;
    this.#due[owes].add(connection);
    this.#arm(connection.deadline);
  }

  /** One timer for all: it goes off when the first deadline is over. */
  #arm(at: number): void {
    if (at >= this.#timerAt || this.#isDisposed) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => this.#closeLate(), Math.max(at - performance.now(), 0) + 1);
  }

  #closeLate(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = performance.now();
    for (const due of [this.#due.handshake, this.#due.request]) {
      for (const connection of due) {
        if (connection.deadline > now) {
          this.#arm(connection.deadline);
          break;
        }
        const isLateRequest = connection.owes === 'request';
        if (isLateRequest) this.#options.tooLate?.(connection.socket);
        this.#drop(connection, isLateRequest ? 'request-timeout' : 'handshake-timeout');
      }
    }
  }

  #drop(connection: Connection | undefined, reason: DropReason): void {
    if (connection === undefined) return;
    this.#count(connection, reason);
    this.#owe(connection, undefined);
    this.#all?.remove(connection);
    connection.socket.destroy();
  }

  #count({ socket, group }: Connection, reason: DropReason): void {
    const { listener, log } = this.#options;
    this.#dropped?.add({ listener, reason });
    log.debug({ listener, reason, address: socket.remoteAddress ?? group }, 'connection closed');
  }
}

function endOf(socket: Socket): string {
  return `${socket.remoteAddress}/${socket.remotePort}`;
}
