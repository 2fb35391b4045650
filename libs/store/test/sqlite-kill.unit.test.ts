import { join } from 'node:path';
import { parseEvent } from '@signet/contracts';
import { openDatabase } from '@signet/sqlite';
import { describe, expect, it } from 'vitest';
import { openSqliteStore } from '../src/sqlite/index.ts';
import { describeKill } from './contract-kill.ts';
import { killWriterAfter } from './kill.ts';
import { temporaryDirectory } from './temporary.ts';
import { things } from './things.ts';

const directory = temporaryDirectory();

describe('SQLite with outboxes', () => {
  describeKill({ url: () => `sqlite:${join(directory, 'outbox.db')}`, directory, kills: 3 });
});

describe('SQLite with the event log', () => {
  it('has for each acknowledged write its event in the log, and no event without its state, through kill -9', {
    timeout: 60_000,
  }, async () => {
    const path = join(directory, 'log.db');
    const acknowledged = (await killWriterAfter(40, `log:${path}`, '')).map(
      ({ thing, event }) => `${thing} ${event}`,
    );
    const database = openDatabase(path);
    await using store = await openSqliteStore({ database, ownsDatabase: true, eventLog: true });
    const collection = await store.collection(things);
    const stored = (await collection.find({ limit: 1000 })).items.map(({ id, label }) => `${id} ${label}`);
    const logged = database
      .read('SELECT event FROM event_log ORDER BY position')
      .map((row) => parseEvent(JSON.parse(String(row.event))));
    expect(logged.map(({ subject, id }) => `${subject} ${id}`).toSorted()).toEqual(stored.toSorted());
    expect(logged.every(({ sequence }) => sequence === 1)).toBe(true);
    expect(new Set(stored).isSupersetOf(new Set(acknowledged))).toBe(true);
  });
});
