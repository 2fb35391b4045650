import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '@signet/sqlite';
import type { Bus } from './bus.ts';
import { type LocalBusOptions, openLocalBus } from './local/open.ts';

/** A real local bus on a file of its own, which goes with it. */
export async function openScratchBus(options: Omit<LocalBusOptions, 'database'> = {}): Promise<Bus> {
  const directory = await mkdtemp(join(tmpdir(), 'signet-bus-'));
  const database = openDatabase(join(directory, 'bus.db'));
  const bus = await openLocalBus({ ...options, database });
  return {
    ...bus,
    async [Symbol.asyncDispose]() {
      await bus[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}
