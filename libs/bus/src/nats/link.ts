import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { ConnectionOptions, NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { backoffMs, pause } from '@signet/async';
import { BusError } from '../bus-error.ts';
import type { Log } from '../log.ts';
import { ensureStreams, type StreamPlan } from './streams.ts';

/** Between tries, ms. */
export const RETRY = { firstMs: 50, lastMs: 5000 } as const;

export type Connected = {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
};

/**
 * The connection to NATS and all that may be wrong with it. It is made in the background, for as long as it takes;
 * once made, the client library restores it. Streams are made at every (re)connection if they are missing.
 */
export class Link implements AsyncDisposable {
  readonly #log: Log;
  readonly #url: string;
  readonly #plan: StreamPlan;
  readonly #closing = new AbortController();
  readonly #onReconnect = new Set<(renewed: Promise<void>) => void>();
  readonly #connected: Promise<Connected>;
  readonly #firstTry = Promise.withResolvers<void>();
  #connection: Connected | undefined;
  #unavailable: string | undefined;

  constructor(url: string, name: string, plan: StreamPlan, log: Log) {
    this.#log = log;
    this.#url = redacted(url);
    this.#plan = plan;
    this.#unavailable = `NATS at ${this.#url}: not connected yet`;
    this.#connected = this.#connect(connectionOptions(url, name));
    this.#connected.catch(() => {});
  }

  /** Aborted with BusError `closed` once the bus is disposed of. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** The connection, if there ever was one; it may be down right now. */
  get connection(): Connected | undefined {
    return this.#connection;
  }

  get up(): boolean {
    return this.#unavailable === undefined;
  }

  /** Resolves when the first try to connect has succeeded or failed. */
  get firstTry(): Promise<void> {
    return this.#firstTry.promise;
  }

  /** Resolves once the first connection stands and the streams are there. */
  async connected(signal?: AbortSignal): Promise<Connected> {
    this.closing.throwIfAborted();
    if (this.#connection !== undefined) return this.#connection;
    if (signal === undefined) return this.#connected;
    signal.throwIfAborted();
    return Promise.race([this.#connected, rejection(signal)]);
  }

  /**
   * Calls `listener` after each reconnection, before anything new arrives; `renewed` resolves once the server has all
   * subscriptions again. @returns a function that ends that
   */
  onReconnect(listener: (renewed: Promise<void>) => void): () => void {
    this.#onReconnect.add(listener);
    return () => this.#onReconnect.delete(listener);
  }

  /** Makes missing streams again, e.g. after a server came back without its data. */
  async repair({ jsm }: Connected): Promise<void> {
    await ensureStreams(jsm, this.#plan, this.#log);
  }

  failure(): string | undefined {
    return this.#unavailable;
  }

  /** From now on all that waits is rejected with `closed`; the connection still carries acknowledgements. */
  stop(): void {
    this.#closing.abort(new BusError('closed', 'the bus is closed'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    const connection = await this.#connected.catch(() => undefined);
    if (connection === undefined || connection.nc.isClosed()) return;
    if (this.up) await connection.nc.drain().catch(() => connection.nc.close());
    else await connection.nc.close();
  }

  async #connect(options: ConnectionOptions): Promise<Connected> {
    for (let attempt = 1; ; attempt++) {
      let nc: NatsConnection | undefined;
      try {
        nc = await connect(options);
        const connected = { nc, js: jetstream(nc), jsm: await jetstreamManager(nc) };
        await this.repair(connected);
        this.closing.throwIfAborted();
        this.#connection = connected;
        this.#unavailable = undefined;
        this.#log.info({ url: this.#url }, 'connected to NATS');
        this.#firstTry.resolve();
        void this.#watch(connected);
        return connected;
      } catch (error) {
        await nc?.close();
        this.closing.throwIfAborted();
        this.#unavailable = `NATS at ${this.#url}: ${error instanceof Error ? error.message : String(error)}`;
        this.#log.warn({ url: this.#url, attempt, err: error }, 'NATS is unavailable; trying again');
        this.#firstTry.resolve();
        await pause(backoffMs(attempt, RETRY), { signal: this.closing });
        this.closing.throwIfAborted();
      }
    }
  }

  async #watch(connected: Connected): Promise<void> {
    for await (const status of connected.nc.status()) {
      if (status.type === 'disconnect') {
        this.#unavailable = `NATS at ${this.#url}: disconnected`;
        this.#log.warn({ url: this.#url }, 'lost NATS; reconnecting');
      } else if (status.type === 'reconnect') {
        this.#unavailable = undefined;
        this.#log.info({ url: this.#url }, 'NATS is back');
        this.repair(connected).catch((err) => this.#log.warn({ err }, 'streams could not be checked'));
        const renewed = connected.nc.flush();
        renewed.catch(() => {});
        for (const listener of [...this.#onReconnect]) listener(renewed);
      } else if (status.type === 'error') {
        this.#log.warn({ url: this.#url, err: status.error }, 'NATS reports an error');
      }
    }
    if (!this.closing.aborted) this.#unavailable = `NATS at ${this.#url}: the connection is closed for good`;
  }
}

function connectionOptions(url: string, name: string): ConnectionOptions {
  const servers = url.split(',').map((server) => new URL(server.trim()));
  const [first] = servers;
  const user = decodeURIComponent(first?.username ?? '');
  const pass = decodeURIComponent(first?.password ?? '');
  const credentials = user === '' ? {} : pass === '' ? { token: user } : { user, pass };
  return {
    servers: servers.map((server) => server.host),
    name,
    ...credentials,
    ...(first?.protocol === 'tls:' ? { tls: {} } : {}),
    timeout: 5000,
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true,
    reconnectDelayHandler: () => 100 + Math.random() * 900,
    // a server that hangs, or is cut off, is left after nine seconds at the latest
    pingInterval: 3000,
    maxPingOut: 2,
  };
}

function redacted(url: string): string {
  return url
    .split(',')
    .map((server) => new URL(server.trim()).host)
    .join(',');
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
