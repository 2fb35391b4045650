import { randomUUID } from 'node:crypto';
import { afterEach, describe } from 'vitest';
import type { Publish, Store } from '../src/index.ts';
import { describeDocuments } from './contract-documents.ts';
import { describeEvents } from './contract-events.ts';
import { describeHelpers } from './contract-helpers.ts';
import { describeIndexes } from './contract-indexes.ts';
import { describeMigrations } from './contract-migrations.ts';
import { describeQueries } from './contract-queries.ts';

export type OpenOptions = { readonly publish: Publish; readonly sweepMs?: number };

/** An engine that has to keep the contract. */
export type EngineUnderTest = {
  readonly name: string;
  /** Opens a store; the same place has the same data. */
  open(place: string, options: OpenOptions): Promise<Store>;
  /** Whether two processes that replace one version of a document at once are told apart. FerretDB 1 does not. */
  readonly tellsWritersApart: boolean;
  /** Documents of the tests that need many. */
  readonly many: number;
  /** Runs of each property test. */
  readonly runs: number;
};

/** Opens stores for one test, and closes them after it. */
export type Stores = {
  /** A store in the test's own place. A second one is as a second process. */
  open(options?: Partial<OpenOptions>): Promise<Store>;
};

/** What every engine has to do. */
export function describeStore(engine: EngineUnderTest): void {
  const opened: Store[] = [];
  let place = randomUUID();
  const stores: Stores = {
    open: async ({ publish = async () => {}, ...rest } = {}) => {
      const store = await engine.open(place, { publish, ...rest });
      opened.push(store);
      return store;
    },
  };
  afterEach(async () => {
    for (const store of opened.splice(0)) await store[Symbol.asyncDispose]();
    place = randomUUID();
  });

  describe(`the store on ${engine.name}`, () => {
    describeDocuments(stores, engine);
    describeIndexes(stores, engine);
    describeMigrations(stores, engine);
    describeQueries(stores, engine);
    describeEvents(stores, engine);
    describeHelpers(stores);
  });
}
