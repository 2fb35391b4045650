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

const INTO_LOG = 'INSERT INTO event_log (id, type, account, part, subject, time, event)';
const APPEND = `${INTO_LOG} VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`;

/** What of the log grew: the types and the partitions of appended events. */
export type Appended = { readonly types: ReadonlySet<string>; readonly parts: ReadonlySet<number> };

/** What committed units appended to the log; undefined where they appended nothing. */
export function appendedBy(units: readonly (readonly Statement[])[]): Appended | undefined {
  const types = new Set<string>();
  const parts = new Set<number>();
  for (const unit of units)
    for (const { sql, params = [] } of unit) {
      if (!sql.startsWith(INTO_LOG)) continue;
      const [, type, , part] = params;
      types.add(String(type));
      parts.add(Number(part));
    }
  return types.size === 0 ? undefined : { types, parts };
}

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
