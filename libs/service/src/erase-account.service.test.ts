import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLocalBus } from '@signet/bus';
import { newEvent } from '@signet/contracts';
import { openDatabase } from '@signet/sqlite';
import { openStore } from '@signet/store';
import { expect, it, onTestFinished, vi } from 'vitest';
import { z } from 'zod';
import { eraseByIndex, followDeletions } from './erase-account.ts';

const things = {
  name: 'test.things',
  schema: z.object({ id: z.string(), account: z.string() }),
  indexes: { byAccount: { fields: ['account', 'id'] } },
} as const;

/** More than two pages of 200. */
const THINGS = 450;
const WITHIN = { timeout: 30_000 };
vi.setConfig({ testTimeout: 60_000 });

async function open(folder: string) {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(openDatabase(join(folder, 'bus.db')));
  const bus = stack.use(await openLocalBus({ database }));
  const store = stack.use(
    await openStore({ url: `sqlite:${join(folder, 'test.db')}`, publish: async () => {} }),
  );
  const collection = await store.collection(things);
  const rest = stack.move();
  const left = async (account: string) =>
    (await collection.find({ index: 'byAccount', equals: { account }, limit: 1000 })).items.length;
  return { bus, collection, left, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

it('a service that stops after the first page of an erasure goes on after its restart, until nothing is left', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'signet-erasure-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  {
    await using first = await open(folder);
    for (let index = 0; index < THINGS; index++)
      for (const account of ['gone', 'stays'])
        await first.collection.insert({ id: `${account}-${index}`, account });
    let pages = 0;
    const onePage = {
      find: async (query: Parameters<typeof first.collection.find>[0]) => {
        if (pages++ > 0) throw new Error('the service is stopped');
        return first.collection.find(query);
      },
      remove: (id: string) => first.collection.remove(id),
    };
    await using _subscription = await followDeletions(first.bus, 'test', {
      erasures: [eraseByIndex(onePage, 'byAccount')],
    });
    await first.bus.publish([
      newEvent('ACCOUNT_DELETED', {
        account: 'gone',
        subject: 'gone',
        time: Date.now(),
        data: { by: 'ada' },
      }),
    ]);
    await vi.waitFor(async () => expect(await first.left('gone')).toBe(THINGS - 200), WITHIN);
  }
  await using second = await open(folder);
  expect(await second.left('gone')).toBe(THINGS - 200);
  await using _subscription = await followDeletions(second.bus, 'test', {
    erasures: [eraseByIndex(second.collection, 'byAccount')],
  });
  await vi.waitFor(async () => expect(await second.left('gone')).toBe(0), WITHIN);
  expect(await second.left('stays')).toBe(THINGS);
});
