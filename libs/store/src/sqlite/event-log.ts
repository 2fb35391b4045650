import { eventSubject, partitionOf, type SignetEvent } from '@signet/contracts';
import type { Statement } from './statement.ts';

/**
 * The durable log of the local bus, in the same file as the state. `position` grows with every commit;
 * `part` is the event's partition (0 to 15), `subject` its bus subject, `event` its JSON.
 */
export const EVENT_LOG_DDL: readonly Statement[] = [
  {
    sql: `CREATE TABLE IF NOT EXISTS event_log (
      position INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      type TEXT NOT NULL,
      account TEXT NOT NULL,
      part INTEGER NOT NULL,
      subject TEXT NOT NULL,
      time TEXT NOT NULL,
      event TEXT NOT NULL
    )`,
  },
];

const APPEND = `INSERT INTO event_log (id, type, account, part, subject, time, event)
  VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`;

/** Appends events in their order. An event whose id is in the log already is left out. */
export function appendStatements(events: readonly SignetEvent[]): Statement[] {
  return events.map((event) => ({
    sql: APPEND,
    params: [
      event.id,
      event.type,
      event.account,
      partitionOf(event.account, event.subject),
      eventSubject(event),
      event.time,
      JSON.stringify(event),
    ],
  }));
}
