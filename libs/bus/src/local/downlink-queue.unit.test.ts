import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '@signet/sqlite';
import { expect, it, vi } from 'vitest';
import { type LocalBus, openLocalBus } from './open.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

it('keeps what is stored for a device over a restart, and another device does not wait for one that cannot take its own', async () => {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'signet-down-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const open = async (): Promise<LocalBus & AsyncDisposable> => {
    const database = openDatabase(join(directory, 'bus.db'));
    const bus = await openLocalBus({ database });
    return {
      ...bus,
      async [Symbol.asyncDispose]() {
        await bus[Symbol.asyncDispose]();
        await database[Symbol.asyncDispose]();
      },
    };
  };
  {
    await using bus = await open();
    const tried: string[] = [];
    await bus.consumeDownlink(async ({ subject }) => {
      tried.push(subject);
      if (subject.includes('stuck')) throw new Error('not now');
    });
    for (const device of ['stuck', 'free'])
      await bus.send(`signet.mqtt.acme.${device}.down.x`, bytes(device), { stored: true });
    await vi.waitFor(() => expect(tried).toContain('signet.mqtt.acme.free.down.x'), 10_000);
  }
  await using again = await open();
  const taken: string[] = [];
  await again.consumeDownlink(async ({ subject }) => void taken.push(subject));
  await vi.waitFor(() => expect(taken).toEqual(['signet.mqtt.acme.stuck.down.x']), 10_000);
});
