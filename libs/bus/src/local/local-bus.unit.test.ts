import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase, type SqliteDatabase } from '@signet/sqlite';
import { busContract } from '../../test/contract.ts';
import { type BusHarness, type LogLine, recorder } from '../../test/harness.ts';
import { type LocalBus, openLocalBus } from './open.ts';
import type { LocalLimits } from './retention.ts';

/** Replicas of a local bus live in one process over one open file. */
async function openHarness(): Promise<BusHarness> {
  const directory = await mkdtemp(join(tmpdir(), 'signet-bus-'));
  const path = join(directory, 'bus.db');
  const lines: LogLine[] = [];
  let limits: LocalLimits = {};
  let open: { database: SqliteDatabase; bus: LocalBus } | undefined;
  const opened = async () => {
    const database = open?.database ?? openDatabase(path);
    open ??= { database, bus: await openLocalBus({ database, log: recorder(lines), limits }) };
    return open;
  };
  const close = async () => {
    await open?.bus[Symbol.asyncDispose]();
    await open?.database[Symbol.asyncDispose]();
    open = undefined;
  };
  return {
    lines,
    replica: async () => (await opened()).bus.replica(),
    bound() {
      limits = { maxEvents: 100 };
    },
    async makeRoom() {
      await open?.database.write([{ sql: 'DELETE FROM event_log' }]);
    },
    async publishMalformed(device) {
      const { database } = await opened();
      await database.write([
        {
          sql: `INSERT INTO event_log (id, type, account, part, subject, time, event) VALUES (?, ?, ?, ?, ?, ?, ?)`,
          params: [
            'x',
            'DEVICE_FIRST_SEEN',
            'acme',
            0,
            device,
            new Date().toISOString(),
            '{"not":"an event"}',
          ],
        },
      ]);
    },
    childArguments: ['local', path],
    leaveToChild: close,
    async [Symbol.asyncDispose]() {
      await close();
      await rm(directory, { recursive: true });
    },
  };
}

busContract('local', openHarness);
