import { appendFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { openDatabase } from '@signet/sqlite';
import { openStore } from '../src/index.ts';
import { openSqliteStore } from '../src/sqlite/index.ts';
import { eventOf, things } from './things.ts';

/**
 * The process that is killed: writes documents with an event each until it dies, and says on stdout which were
 * acknowledged. Of the events it publishes two in three; the bus never answers to the third. Arguments: a store URL, or `log:<path>` for a store with the event log; the file that is the bus.
 */
const [url = '', busFile = ''] = process.argv.slice(2);

let published = 0;

const store = url.startsWith('log:')
  ? await openSqliteStore({ database: openDatabase(url.slice('log:'.length)), eventLog: true })
  : await openStore({
      url,
      publish: async (events) => {
        published += 1;
        if (published % 3 === 0) await new Promise(() => {});
        await wait(Math.random() * 20);
        for (const { id, subject } of events) appendFileSync(busFile, `${subject} ${id}\n`);
      },
    });
const collection = await store.collection(things);
for (let i = 0; ; i++) {
  const thing = `${process.pid}-${i}`;
  const event = eventOf(thing);
  await collection.insert({ id: thing, label: event.id }, [event]);
  process.stdout.write(`${thing} ${event.id}\n`);
}
