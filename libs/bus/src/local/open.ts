import type { SqliteDatabase } from '@signet/sqlite';
import type { Bus } from '../bus.ts';
import { type Log, silent } from '../log.ts';
import { LocalBroker } from './local-broker.ts';
import { openReplica } from './replica.ts';
import type { LocalLimits } from './retention.ts';
import { prepareSchema } from './schema.ts';

export type LocalBusOptions = {
  /** The file that the store writes as well. The bus does not close it. */
  readonly database: SqliteDatabase;
  readonly log?: Log;
  readonly limits?: LocalLimits;
  /** How long disposal waits for handlers in flight, ms. Default 10000. */
  readonly drainMs?: number;
};

export interface LocalBus extends Bus {
  /** Another participant, with subscriptions of its own that end with it. Disposing of the bus ends them all. */
  replica(): Bus;
}

/**
 * The bus of a single process: a durable log in the SQLite file of the store, everything else in memory. Events that
 * the store appends to the log in its own transactions are delivered like published ones. Open it once per file.
 */
export async function openLocalBus(options: LocalBusOptions): Promise<LocalBus> {
  const { database, log = silent, limits = {}, drainMs = 10_000 } = options;
  await prepareSchema(database);
  const broker = new LocalBroker(database, limits, log);
  const replicas: Bus[] = [];
  const open = () => {
    const replica = openReplica(broker, drainMs);
    replicas.push(replica);
    return replica;
  };
  return {
    ...open(),
    replica: open,
    async [Symbol.asyncDispose]() {
      await Promise.all(replicas.map((replica) => replica[Symbol.asyncDispose]()));
      await broker[Symbol.asyncDispose]();
    },
  };
}
