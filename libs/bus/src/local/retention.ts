import type { SqliteDatabase, Statement } from '@signet/sqlite';

const DAY = 86_400_000;
const BATCH = 1000;

export type LocalLimits = {
  /** Publishers wait while the log has so many events. Default: no bound. */
  readonly maxEvents?: number;
  /** Events older than this are removed, ms. Default 14 days. */
  readonly maxAgeMs?: number;
  /** Stored MQTT messages: the oldest go first. Default 1,000,000 and 3 days. */
  readonly mqttMaxMessages?: number;
  readonly mqttMaxAgeMs?: number;
};

/** What is full, if the log is. @throws SqliteError */
export function fullness(database: SqliteDatabase, { maxEvents }: LocalLimits): string | undefined {
  if (maxEvents === undefined) return undefined;
  const [row] = database.read<{ first: number | null; last: number | null }>(
    'SELECT (SELECT MIN(position) FROM event_log) AS first, (SELECT MAX(position) FROM event_log) AS last',
  );
  const held = row?.first == null || row.last === null ? 0 : row.last - row.first + 1;
  return held < maxEvents ? undefined : `the event log is full: it has ${held} of ${maxEvents} events`;
}

/** Removes what is past its time; at most 1000 rows of each kind at a time, so that no commit takes long. */
export function removals(limits: LocalLimits, now: number): Statement[] {
  const { maxAgeMs = 14 * DAY } = limits;
  return [
    {
      sql: `DELETE FROM event_log WHERE time < ? AND position IN
        (SELECT position FROM event_log ORDER BY position LIMIT ${BATCH})`,
      params: [new Date(now - maxAgeMs).toISOString()],
    },
    segmentRemoval(limits, now, BATCH),
  ];
}

/** Removes stored messages that are past their time or their number, at most so many rows of them. */
export function segmentRemoval(
  { mqttMaxAgeMs = 3 * DAY, mqttMaxMessages = 1_000_000 }: LocalLimits,
  now: number,
  most: number,
): Statement {
  return {
    sql: `DELETE FROM bus_mqtt_segment WHERE last IN (SELECT last FROM bus_mqtt_segment ORDER BY last LIMIT ?)
      AND (at < ? OR last <= (SELECT MAX(last) FROM bus_mqtt_segment) - ?)`,
    params: [most, now - mqttMaxAgeMs, mqttMaxMessages],
  };
}
