import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '@signet/sqlite';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { numbered, numberOf } from '../../test/events.ts';
import { silent } from '../log.ts';
import { CursorCommitter } from './cursor-committer.ts';
import { LogWriter } from './log-writer.ts';
import { openLocalBus } from './open.ts';
import { PartitionState } from './partition-state.ts';
import { prepareSchema } from './schema.ts';

describe('how far consumers of the local bus have come', () => {
  let directory: string;
  let path: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'signet-bus-'));
    path = join(directory, 'bus.db');
  });
  afterEach(async () => {
    vi.useRealTimers();
    await rm(directory, { recursive: true });
  });

  it('is stored once in a while, of all together, and never goes back', async () => {
    await using database = openDatabase(path);
    await prepareSchema(database);
    const writer = new LogWriter(database, silent);
    const lanes = [0, 1].map((part) => new PartitionState(database, writer, 'reader', part));
    for (const lane of lanes) await lane.open();
    const positions = () => database.read('SELECT part, position FROM bus_lane ORDER BY part');
    let commits = 0;
    database.onCommit(() => {
      commits++;
    });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const keeper = new CursorCommitter(writer, silent);
    for (const position of [1, 2, 3]) for (const lane of lanes) keeper.note(lane, position);
    vi.advanceTimersByTime(1000);
    await keeper.flush();
    expect(commits).toBe(1);
    expect(positions()).toEqual([
      { part: 0, position: 3 },
      { part: 1, position: 3 },
    ]);
    for (const lane of lanes) keeper.note(lane, 2);
    await keeper.flush();
    expect(positions()).toMatchObject([{ position: 3 }, { position: 3 }]);
  });

  it('is stored with an event that is to be tried again, so that nothing before that comes after it', async () => {
    await using database = openDatabase(path);
    await using bus = await openLocalBus({ database });
    const consumer = { durable: 'reader', types: ['DEVICE_FIRST_SEEN'], ordered: true } as const;
    await bus.consume({ ...consumer, backoffMs: [600_000] }, async (event) => {
      if (numberOf(event) === 3) throw new Error('not today');
    });
    await bus.publish([1, 2, 3].map((n) => numbered('dev-1', n)));
    await vi.waitFor(() => expect(database.read('SELECT position FROM bus_retry')).toHaveLength(1), 10_000);
    expect(
      database.read(
        `SELECT bus_lane.position AS stored, bus_retry.position AS again FROM bus_retry JOIN bus_lane USING (durable, part)`,
      ),
    ).toEqual([{ stored: 2, again: 3 }]);
  });
});
