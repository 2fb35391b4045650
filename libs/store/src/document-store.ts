import { retry } from '@signet/async';
import type { SignetEvent } from '@signet/contracts';
import { DocumentCollection } from './document-collection.ts';
import { gated } from './gated-table.ts';
import { type Log, SILENT } from './log.ts';
import { OutboxRelay, type OutboxSource } from './outbox.ts';
import { prepare } from './prepare.ts';
import type { RecordTable } from './record.ts';
import type { SchemaRecords } from './schema/steps.ts';
import type { Collection, CollectionSpec, Publish, Store, Stored } from './store.ts';
import { StoreError } from './store-error.ts';

const COLLECTION_NAME = /^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*$/;
const DEFAULT_SWEEP_MS = 5000;
/** Between tries to prepare a collection, ms. */
const RETRY = { firstMs: 100, lastMs: 5000 } as const;
const STOP_GRACE_MS = 1000;

/** What a store needs of an engine. */
export interface Engine extends AsyncDisposable {
  table(name: string): RecordTable;
  readonly schema: SchemaRecords;
  /** Undefined while it answers. */
  failure(): string | undefined;
  /** As the store's. */
  serverTime?(): ReturnType<Store['serverTime']>;
}

export type StoreOptions = {
  /** Without it the engine itself takes the events. */
  readonly publish?: Publish;
  /** Told of the events of each write as soon as that stands, before any is published. */
  readonly onEvents?: (events: readonly SignetEvent[]) => void;
  readonly log?: Log;
  /** How often outboxes are swept, in ms. Default 5000. */
  readonly sweepMs?: number;
};

/** A store on any engine. A collection whose engine is unavailable is prepared as soon as it is back. */
export class DocumentStore implements Store {
  readonly #engine: Engine;
  readonly #log: Log;
  readonly #relay: OutboxRelay | undefined;
  readonly #onEvents: (events: readonly SignetEvent[]) => void;
  readonly #collections = new Map<string, Promise<unknown>>();
  readonly #stopping = new AbortController();
  /** Collections that cannot be prepared → why. */
  readonly #unprepared = new Map<string, string>();

  constructor(engine: Engine, options: StoreOptions) {
    const { publish, onEvents = () => {}, log = SILENT, sweepMs = DEFAULT_SWEEP_MS } = options;
    this.#engine = engine;
    this.#onEvents = onEvents;
    this.#log = log;
    this.#relay = publish === undefined ? undefined : new OutboxRelay({ publish, log, sweepMs });
  }

  collection<T extends Stored, I extends string>(spec: CollectionSpec<T, I>): Promise<Collection<T, I>> {
    if (this.#stopping.signal.aborted) return Promise.reject(new StoreError('closed', 'the store is closed'));
    if (!COLLECTION_NAME.test(spec.name)) {
      return Promise.reject(new RangeError(`collection name: "${spec.name}" is not "<service>.<plural>"`));
    }
    const known = this.#collections.get(spec.name) as Promise<Collection<T, I>> | undefined;
    if (known !== undefined) return known;
    const opened = this.#open(spec);
    this.#collections.set(spec.name, opened);
    opened.catch(() => this.#collections.delete(spec.name));
    return opened;
  }

  failure(): string | undefined {
    return this.#engine.failure() ?? this.#unprepared.values().next().value;
  }

  unsentMs(): number {
    return this.#relay?.oldestMs() ?? 0;
  }

  serverTime(): ReturnType<Store['serverTime']> {
    return this.#engine.serverTime?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    await this.#relay?.stop(STOP_GRACE_MS);
    await this.#engine[Symbol.asyncDispose]();
  }

  async #open<T extends Stored, I extends string>(spec: CollectionSpec<T, I>): Promise<Collection<T, I>> {
    const bare = this.#engine.table(spec.name);
    const firstTry = Promise.withResolvers<void>();
    const prepared = this.#prepare(spec, bare, firstTry.resolve);
    const table = gated(bare, prepared);
    const source: OutboxSource = {
      name: spec.name,
      read: (id) => table.read(id),
      pending: (after, limit) => table.pending(after, limit),
      settle: (id, published) => collection.settle(id, published),
    };
    const collection = new DocumentCollection({
      spec,
      table,
      onOutbox: (id, events) => {
        this.#onEvents(events);
        this.#relay?.kick(source, id);
      },
    });
    prepared.then(
      () => this.#relay?.add(source),
      () => {},
    );
    await Promise.race([prepared, firstTry.promise]);
    return collection;
  }

  /** Tries until the engine is there; calls `unavailable` when it first is not. */
  async #prepare<T extends Stored, I extends string>(
    spec: CollectionSpec<T, I>,
    table: RecordTable,
    unavailable: () => void,
  ): Promise<void> {
    if (this.#engine.failure() !== undefined) unavailable();
    const onFailure = (error: unknown): void => {
      if (!(error instanceof StoreError) || error.code !== 'unavailable') {
        this.#unprepared.set(spec.name, `${spec.name}: ${String(error)}`);
        throw error;
      }
      this.#log.warn({ err: error, collection: spec.name }, 'the store is unavailable; trying again');
      unavailable();
    };
    const { signal } = this.#stopping;
    try {
      await retry(() => prepare(spec, table, { schema: this.#engine.schema, log: this.#log }), {
        ...RETRY,
        ...{ signal, onFailure, unref: true },
      });
      this.#unprepared.delete(spec.name);
    } catch (cause) {
      throw signal.aborted ? new StoreError('closed', 'the store is closed', { cause }) : cause;
    }
  }
}
