import { join } from 'node:path';
import { type Bus, openLocalBus, openNatsBus } from '@signet/bus';
import { openStore, type Store } from '@signet/store';
import { openDatabase, openSqliteStore, type SqliteDatabase } from '@signet/store/sqlite';
import type { Health } from './health.ts';
import type { Logger } from './logger.ts';
import { takeProcessLock } from './process-lock.ts';
import { tracedBus, tracedStore } from './traced-events.ts';

/** Store and bus of one process. */
export interface Backbone extends AsyncDisposable {
  readonly store: Store;
  readonly bus: Bus;
}

export type BackboneOptions = {
  /** `sqlite:<file>` or `mongodb://…`. */
  readonly store: string;
  /** `local` or `nats://…`. */
  readonly bus: string;
  /** Where the local bus keeps its log (`bus.db`) if the store is not SQLite. */
  readonly dataDir: string;
  /** Name of this process on the bus. */
  readonly name: string;
  readonly log: Logger;
  /** Gets the checks `store` and `bus`. */
  readonly health?: Health | undefined;
};

/**
 * Opens store and bus. SQLite with the local bus: one file, state and events in one transaction. Else the store's
 * outbox publishes to the bus. Events that are made within a trace carry its `traceparent`.
 */
export async function openBackbone(options: BackboneOptions): Promise<Backbone> {
  await using stack = new AsyncDisposableStack();
  const path = options.store.startsWith('sqlite:') ? options.store.slice('sqlite:'.length) : undefined;
  const database = path === undefined ? undefined : openAlone(path, 'SIGNET_STORE', stack);
  const bus = stack.use(await busOf(options, database, stack));
  const store = stack.use(await storeOf(options, database, bus));
  if (options.health !== undefined) {
    stack.use(options.health.register('store', () => store.failure()));
    stack.use(options.health.register('bus', () => bus.failure()));
  }
  const rest = stack.move();
  return {
    store: tracedStore(store),
    bus: tracedBus(bus),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

async function busOf(
  { bus, dataDir, name, log }: BackboneOptions,
  database: SqliteDatabase | undefined,
  stack: AsyncDisposableStack,
): Promise<Bus> {
  if (bus !== 'local') return await openNatsBus({ url: bus, name, log });
  const own = database ?? openAlone(join(dataDir, 'bus.db'), 'SIGNET_DATA_DIR', stack);
  return await openLocalBus({ database: own, log });
}

/** One process has a file: events of another's commits would go unheard. */
function openAlone(path: string, variable: string, stack: AsyncDisposableStack): SqliteDatabase {
  stack.use(takeProcessLock({ file: `${path}.lock`, variable, what: path }));
  return stack.use(openDatabase(path));
}

async function storeOf(
  { store, bus: busUrl, log }: BackboneOptions,
  database: SqliteDatabase | undefined,
  bus: Bus,
): Promise<Store> {
  const publish = (events: Parameters<Bus['publish']>[0]) => bus.publish(events);
  if (database === undefined) return await openStore({ url: store, publish, log });
  return busUrl === 'local'
    ? await openSqliteStore({ database, eventLog: true, log })
    : await openSqliteStore({ database, publish, log });
}
