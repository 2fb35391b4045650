import { type Repetition, repeatedly, retry } from '@signet/async';
import { MongoClient, type ServerDescription, type TopologyDescription } from 'mongodb';
import type { Engine } from '../document-store.ts';
import type { Log } from '../log.ts';
import type { RecordTable } from '../record.ts';
import { MongoSchema } from './mongo-schema.ts';
import { MongoTable } from './mongo-table.ts';

/** How long an operation waits for a server, in ms. */
const SERVER_WAIT_MS = 5000;
/** How long a server that took a question may be silent, in ms. */
const ANSWER_WAIT_MS = 60_000;
/** So often each server is asked how it is, in ms: one that hangs is noticed, and one that is back is used, that soon. */
const HEARTBEAT_MS = 2000;
/** How often the server is asked what time it has, in ms. */
const TIME_MS = 5000;
/** Between tries to connect, ms. */
const RETRY = { firstMs: 100, lastMs: 5000 } as const;
const DEFAULT_DATABASE = 'signet';

const WRITABLE: readonly ServerDescription['type'][] = ['Standalone', 'RSPrimary', 'Mongos', 'LoadBalancer'];

/**
 * MongoDB, or a database that speaks its protocol. Writes are acknowledged by a majority, from its journal.
 * FerretDB 1 compares the version and replaces the document in two steps, so it cannot serve two replicas of one
 * service; in one process writes of a document are queued, and it can.
 */
export class MongoEngine implements Engine {
  readonly #client: MongoClient;
  readonly #database: string;
  readonly #log: Log;
  readonly #closing = new AbortController();
  readonly #observed = Promise.withResolvers<void>();
  #failure: string | undefined = 'not connected yet';
  /** Whether the log has said that the server is unavailable; it says so once a time. */
  #isMissed = false;
  /** What time the server had, and when it was asked and answered (monotonic), in ms. */
  #time: { readonly at: number; readonly askedAt: number; readonly answeredAt: number } | undefined;
  readonly #asking: Repetition;

  constructor(url: string, log: Log) {
    this.#log = log;
    this.#database = databaseOf(url);
    this.#client = new MongoClient(url, {
      appName: 'signet',
      ignoreUndefined: true,
      readPreference: 'primary',
      writeConcern: { w: 'majority', journal: true },
      serverSelectionTimeoutMS: SERVER_WAIT_MS,
      connectTimeoutMS: SERVER_WAIT_MS,
      heartbeatFrequencyMS: HEARTBEAT_MS,
      socketTimeoutMS: ANSWER_WAIT_MS,
    });
    this.#client.on('topologyDescriptionChanged', ({ newDescription }) => this.#observe(newDescription));
    void this.#connect();
    this.#asking = repeatedly(() => this.#askTime(), {
      everyMs: TIME_MS,
      first: 'after-wait',
      onError: () => {},
    });
  }

  table(name: string): RecordTable {
    return new MongoTable(
      this.#client.db(this.#database).collection(name),
      () => this.#closing.signal.aborted,
    );
  }

  get schema(): MongoSchema {
    return new MongoSchema(
      this.#client.db(this.#database).collection('store.schema'),
      () => this.#closing.signal.aborted,
    );
  }

  /** Resolves as soon as it is known whether a server is there. */
  get observed(): Promise<void> {
    return this.#observed.promise;
  }

  failure(): string | undefined {
    return this.#failure;
  }

  serverTime(): { readonly earliest: number; readonly latest: number } | undefined {
    if (this.#time === undefined) return undefined;
    const { at, askedAt, answeredAt } = this.#time;
    const now = performance.now();
    return { earliest: at + now - answeredAt, latest: at + now - askedAt };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#observed.resolve();
    await this.#client.close();
    await this.#asking[Symbol.asyncDispose]();
  }

  #observe({ servers }: TopologyDescription): void {
    const all = [...servers.values()];
    if (all.some(({ type }) => WRITABLE.includes(type))) {
      this.#failure = undefined;
      this.#isMissed = false;
      this.#observed.resolve();
      return;
    }
    const error = all.find((server) => server.error !== null)?.error;
    this.#failure = error?.message ?? 'no server takes writes';
    if (error === undefined) return;
    this.#observed.resolve();
    if (!this.#isMissed && !this.#closing.signal.aborted)
      this.#log.warn({ err: error }, 'MongoDB is unavailable; trying again');
    this.#isMissed = true;
  }

  /** `hello` says it (MongoDB's `localTime`); where a server does not, the time stays unknown. */
  async #askTime(): Promise<void> {
    if (this.#failure !== undefined || this.#closing.signal.aborted) return;
    const askedAt = performance.now();
    try {
      const { localTime } = await this.#client.db('admin').command({ hello: 1 });
      if (localTime instanceof Date)
        this.#time = { at: localTime.getTime(), askedAt, answeredAt: performance.now() };
    } catch {
      // whether it answers is told elsewhere
    }
  }

  /** Once connected, the driver itself keeps looking for servers; until then this does. */
  async #connect(): Promise<void> {
    const { signal } = this.#closing;
    const onFailure = (error: unknown): void => {
      this.#failure = error instanceof Error ? error.message : String(error);
      this.#observed.resolve();
      if (!this.#isMissed) this.#log.warn({ err: error }, 'MongoDB is unavailable; trying again');
      this.#isMissed = true;
    };
    try {
      await retry(() => this.#client.connect(), { ...RETRY, signal, onFailure, unref: true });
      this.#asking.wake();
    } catch (error) {
      // it tries until it is connected or closed
      if (!signal.aborted) throw error;
    }
  }
}

function databaseOf(url: string): string {
  const name = /^mongodb(?:\+srv)?:\/\/[^/]+\/([^?]+)/.exec(url)?.[1];
  return name === undefined ? DEFAULT_DATABASE : decodeURIComponent(name);
}
