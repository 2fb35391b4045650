import type { SqliteDatabase } from '@signet/sqlite';
import type { EventsSince } from '../bus.ts';
import type { ConsumerPlan } from '../consumer-plan.ts';
import type { LogWriter } from './log-writer.ts';

const COUNTED = 10_000;

/** Events that a consumer has not settled, counted up to 10,000. */
export function backlog(database: SqliteDatabase, { durable, types, account }: ConsumerPlan): number {
  const [row] = database.read<{ pending: number }>(
    `SELECT (SELECT COUNT(*) FROM bus_retry WHERE durable = ?1) + (SELECT COUNT(*) FROM (
      SELECT 1 FROM bus_lane AS lane JOIN event_log AS log
        ON log.position > lane.position AND (lane.part < 0 OR log.part = lane.part)
      WHERE lane.durable = ?1 AND (?2 IS NULL OR log.account = ?2)
        AND log.type IN (SELECT value FROM json_each(?3))
        AND NOT EXISTS (SELECT 1 FROM bus_retry WHERE durable = ?1 AND bus_retry.position = log.position)
        AND NOT EXISTS (SELECT 1 FROM bus_dead WHERE durable = ?1 AND bus_dead.position = log.position)
      LIMIT ${COUNTED})) AS pending`,
    [durable, account ?? null, JSON.stringify(types)],
  );
  return row?.pending ?? 0;
}

/** Events of one account after a position, counted up to 10,000. */
export function countSince(database: SqliteDatabase, { types, account, after }: EventsSince): number {
  const [row] = database.read<{ found: number }>(
    `SELECT COUNT(*) AS found FROM (SELECT 1 FROM event_log WHERE position > ? AND account = ?
      AND type IN (SELECT value FROM json_each(?)) LIMIT ${COUNTED})`,
    [after, account, JSON.stringify(types)],
  );
  return row?.found ?? 0;
}

/** Removes all that is stored of a consumer. */
export async function deleteConsumer(writer: LogWriter, durable: string): Promise<void> {
  await writer.write(
    ['bus_lane', 'bus_retry', 'bus_dead'].map((name) => ({
      sql: `DELETE FROM ${name} WHERE durable = ?`,
      params: [durable],
    })),
  );
}
