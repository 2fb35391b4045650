import { applyTableSteps, EVENT_LOG_DDL, type SqliteDatabase, type TableStep } from '@signet/sqlite';

const BUS_DDL: readonly string[] = [
  'CREATE INDEX IF NOT EXISTS event_log_part ON event_log (part, position)',
  // How far a consumer has come in a partition (-1: in all). `suspect` is the event that it began with when it last
  // started, and `starts` how often it began with that one.
  `CREATE TABLE IF NOT EXISTS bus_lane (
    durable TEXT NOT NULL,
    part INTEGER NOT NULL,
    position INTEGER NOT NULL,
    suspect INTEGER NOT NULL DEFAULT 0,
    starts INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (durable, part)
  )`,
  // Events to be tried again. `position` is null for those that come back from the dead letters.
  `CREATE TABLE IF NOT EXISTS bus_retry (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    durable TEXT NOT NULL,
    part INTEGER NOT NULL,
    position INTEGER,
    event TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    due INTEGER NOT NULL,
    UNIQUE (durable, position)
  )`,
  `CREATE TABLE IF NOT EXISTS bus_dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    durable TEXT NOT NULL,
    part INTEGER NOT NULL,
    position INTEGER,
    record TEXT NOT NULL,
    UNIQUE (durable, position)
  )`,
  // Stored messages, those of one commit in one row. `last` is the number of its last message.
  `CREATE TABLE IF NOT EXISTS bus_mqtt_segment (
    last INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    messages BLOB NOT NULL
  )`,
  // What they were kept in before.
  'DROP TABLE IF EXISTS bus_mqtt',
  // Stored messages for devices that nobody has taken yet.
  `CREATE TABLE IF NOT EXISTS bus_down (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT NOT NULL,
    payload BLOB NOT NULL,
    at INTEGER NOT NULL
  )`,
];

/** Changes of these tables since the first release, the oldest first; new ones go to the end. */
const BUS_STEPS: readonly TableStep[] = [];

/**
 * Makes the tables of the local bus where they are missing, and brings those of an earlier release to what this one uses.
 * @throws SqliteError `newer-schema` where a later release has changed them
 */
export async function prepareSchema(database: SqliteDatabase): Promise<void> {
  await applyTableSteps(database, 'bus', {
    base: [...EVENT_LOG_DDL, ...BUS_DDL.map((sql) => ({ sql }))],
    steps: BUS_STEPS,
  });
}
