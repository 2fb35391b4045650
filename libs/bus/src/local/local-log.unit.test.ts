import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { appendStatements, openDatabase } from '@signet/sqlite';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { numbered, numberOf } from '../../test/events.ts';
import { openLocalBus } from './open.ts';
import { removals } from './retention.ts';

const types = ['DEVICE_FIRST_SEEN'] as const;

describe('the log of the local bus', () => {
  let directory: string;
  let path: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'signet-bus-'));
    path = join(directory, 'bus.db');
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it('delivers events that the store appended together with state', async () => {
    await using database = openDatabase(path);
    await using bus = await openLocalBus({ database });
    const heard: number[] = [];
    await bus.consume({ durable: 'reader', types }, async (event) => {
      heard.push(numberOf(event));
    });
    await database.write([
      { sql: 'CREATE TABLE state (id TEXT)' },
      { sql: `INSERT INTO state VALUES ('x')` },
      ...appendStatements([numbered('dev-1', 1)]),
    ]);
    await vi.waitFor(() => expect(heard).toEqual([1]), 10_000);
  });

  it('goes on after a restart where it was, retries and order included', async () => {
    const heard: number[] = [];
    const consumer = { durable: 'reader', types, ordered: true, backoffMs: [50] } as const;
    {
      await using database = openDatabase(path);
      await using bus = await openLocalBus({ database });
      const failed = Promise.withResolvers<void>();
      await bus.consume(consumer, async (event) => {
        if (numberOf(event) === 2) {
          failed.resolve();
          throw new Error('not today');
        }
        heard.push(numberOf(event));
      });
      await bus.publish([1, 2, 3].map((n) => numbered('dev-1', n)));
      await failed.promise;
    }
    await using database = openDatabase(path);
    await using bus = await openLocalBus({ database });
    const attempts: number[] = [];
    await bus.consume(consumer, async (event, { attempt }) => {
      heard.push(numberOf(event));
      attempts.push(attempt);
    });
    await vi.waitFor(() => expect(heard).toEqual([1, 2, 3]), 10_000);
    expect(attempts).toEqual([2, 1]);
  });

  it('gives up on an event that kills the process each time, and handles those behind it', async () => {
    {
      await using database = openDatabase(path);
      await using bus = await openLocalBus({ database });
      await bus.publish([1, 2].map((n) => numbered(`dev-${n}`, n)));
    }
    const script = fileURLToPath(new URL('../../test/poisoned-process.ts', import.meta.url));
    for (let start = 1; start <= 3; start++) {
      const child = spawn(process.execPath, [script, path], { stdio: 'inherit' });
      expect((await once(child, 'exit'))[1]).toBe('SIGKILL');
    }
    await using database = openDatabase(path);
    await using bus = await openLocalBus({ database });
    const heard: number[] = [];
    await bus.consume({ durable: 'poisoned', types, maxDeliveries: 3 }, async (event) => {
      heard.push(numberOf(event));
    });
    await vi.waitFor(() => expect(heard).toEqual([2]), 10_000);
    expect(await bus.deadLetters.list('poisoned')).toMatchObject([
      { event: { subject: 'dev-1' }, error: 'not acknowledged within 3 deliveries' },
    ]);
  });

  it('removes events and stored messages that are past their time, and keeps numbering on', async () => {
    await using database = openDatabase(path);
    await using bus = await openLocalBus({ database });
    await bus.publish([numbered('dev-1', 1), numbered('dev-1', 2)]);
    await bus.send('signet.mqtt.acme.dev-1.up.a', new Uint8Array(3), { stored: true });
    await database.write(removals({}, Date.now() + 13 * 86_400_000));
    expect(database.read('SELECT COUNT(*) AS n FROM event_log')).toEqual([{ n: 2 }]);
    expect(database.read('SELECT COUNT(*) AS n FROM bus_mqtt_segment')).toEqual([{ n: 0 }]);
    await database.write(removals({}, Date.now() + 15 * 86_400_000));
    expect(database.read('SELECT COUNT(*) AS n FROM event_log')).toEqual([{ n: 0 }]);
    const positions: number[] = [];
    await bus.tail({ types, from: 'new' }, (_event, position) => {
      positions.push(position);
    });
    await bus.publish([numbered('dev-1', 3)]);
    await vi.waitFor(() => expect(positions).toEqual([3]), 10_000);
  });

  it('refuses a second consumer of the same name with other settings', async () => {
    await using database = openDatabase(path);
    await using bus = await openLocalBus({ database });
    await bus.consume({ durable: 'reader', types }, async () => {});
    await expect(
      bus.consume({ durable: 'reader', types, ordered: true }, async () => {}),
    ).rejects.toMatchObject({ code: 'invalid-consumer' });
  });
});
