import type { SourceRecord } from './source-record.ts';

/** The longest wait between tries, times the wait that was asked for. */
const LONGEST = 8;
/** A source that never gave a CRL is stale after so many waits. */
const PATIENCE = 3;

/**
 * When to ask again, Unix ms: a tenth more or less than asked for, so that replicas and sources do not ask at once; longer
 * after each failure in a row. `random` in 0 … 1.
 */
export function nextFetchAt(
  { everySeconds, failures }: Pick<SourceRecord, 'everySeconds' | 'failures'>,
  now: number,
  random: number,
): number {
  const factor = Math.min(2 ** Math.max(0, failures - 1), LONGEST);
  return Math.round(now + everySeconds * 1000 * factor * (0.9 + random * 0.2));
}

/** Whether one of its CRLs is past its end, or never came. `now` in Unix ms. */
export function isStale(source: SourceRecord, now: number): boolean {
  const patience = source.everySeconds * 1000 * PATIENCE;
  if (source.parts.length === 0)
    return source.urls.length > 0 && Date.parse(source.createdAt) + patience < now;
  return source.parts.some(({ nextUpdate, acceptedAt }) => {
    if (nextUpdate !== undefined) return Date.parse(nextUpdate) <= now;
    return Date.parse(acceptedAt ?? source.createdAt) + patience < now;
  });
}
