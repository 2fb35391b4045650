import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from './open.ts';
import type { Publish, Store } from './store.ts';

/** A real SQLite store in a directory that goes with it. */
export async function openTemporaryStore(publish: Publish = async () => {}): Promise<Store> {
  const directory = mkdtempSync(join(tmpdir(), 'signet-store-'));
  const store = await openStore({ url: `sqlite:${join(directory, 'test.db')}`, publish });
  return {
    collection: (spec) => store.collection(spec),
    failure: () => store.failure(),
    serverTime: () => store.serverTime(),
    unsentMs: () => store.unsentMs(),
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
