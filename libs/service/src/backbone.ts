import { join } from 'node:path';
import { activeTraceparent, type Bus, openLocalBus, openNatsBus } from '@signet/bus';
import { traceEventsBy } from '@signet/contracts';
import { openDatabase, type SqliteDatabase } from '@signet/sqlite';
import { openStore, type Store } from '@signet/store';
import { openSqliteStore } from '@signet/store/sqlite';
import { DenialCourier, toldOfDenials } from './denial-courier.ts';
import type { Health } from './health.ts';
import type { Logger } from './logger.ts';
import { takeProcessLock } from './process-lock.ts';

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
  traceEventsBy(activeTraceparent);
  await using stack = new AsyncDisposableStack();
  const path = options.store.startsWith('sqlite:') ? options.store.slice('sqlite:'.length) : undefined;
  const database = path === undefined ? undefined : openAlone(path, 'SIGNET_STORE', stack);
  const bus = stack.use(await busOf(options, database, stack));
  // where the bus is in this process, state and events are one transaction: nothing is on its way
  const courier = options.bus === 'local' ? undefined : stack.use(new DenialCourier(bus, options.log));
  const store = stack.use(await storeOf(options, database, bus, courier));
  if (options.health !== undefined) {
    stack.use(options.health.register('store', () => store.failure()));
    stack.use(options.health.register('bus', () => bus.failure()));
    if (courier !== undefined) stack.use(options.health.register('outbox', () => unsent(store.unsentMs())));
  }
  const rest = stack.move();
  return {
    store,
    bus: courier === undefined ? bus : toldOfDenials(bus, courier),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** Events that wait for so long are told of in `/ready`, ms. */
const UNSENT_MS = 10_000;

function unsent(ms: number): string | undefined {
  return ms <= UNSENT_MS ? undefined : `events have been waiting for the bus for ${Math.round(ms / 1000)} s`;
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
  courier: DenialCourier | undefined,
): Promise<Store> {
  const publish = async (events: Parameters<Bus['publish']>[0]) => {
    // those of before a restart are offered here
    courier?.offer(events);
    await bus.publish(events);
    courier?.stored(events);
  };
  const told = courier === undefined ? {} : { onEvents: courier.offer.bind(courier) };
  if (database === undefined) return await openStore({ url: store, publish, log, ...told });
  return busUrl === 'local'
    ? await openSqliteStore({ database, eventLog: true, log })
    : await openSqliteStore({ database, publish, log, ...told });
}
