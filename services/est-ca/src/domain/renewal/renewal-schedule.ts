/** A certificate that is to be renewed: from `dueAt` on, and before `notAfter` (Unix milliseconds). */
export type Renewable = { readonly serialNumber: string; readonly dueAt: number; readonly notAfter: number };

export type SpreadOptions = {
  readonly perSecond: number;
  /** Unix milliseconds; nothing is to be renewed before. */
  readonly from: number;
  /** What falls due later than this after `from` is not spread yet. */
  readonly horizonMs?: number;
};

/** Tells when a certificate renews: the start of its second, Unix milliseconds. */
export type Schedule = {
  timeOf(certificate: Renewable): number;
  /** How many numbers it keeps: it grows with the fleet by the rate, not by the certificate. */
  readonly cells: number;
};

/** So long before its end a certificate is renewed at the latest, whatever the rate. */
const LAST_CHANCE_MS = 3_600_000;
const MINUTE_MS = 60_000;
const HORIZON_MS = 45 * 86_400_000;
/** Cells that a second takes on average: what is left empty at its end is a part of one. */
const CELLS_IN_A_SECOND = 8;
const MAX_BITS = 20;

/** What falls due in one minute, by the first bits of the serial numbers: how many, then in which second. */
type Minute = { readonly bits: number; readonly cells: Uint32Array };

/**
 * Spreads the renewals of a fleet so that no more than `perSecond` come in any one second: by the minute in which they
 * fall due, those of one minute by serial number. Reads the fleet page by page, twice, and keeps counts only, since serial
 * numbers are random; where chance (or a low rate) puts more into a cell than a second takes, a third time. The same
 * fleet gives the same times on every replica. Only where a fleet is too large to be through before it ends is the rate
 * passed: a device that is stranded is worse than a busy hour.
 */
export async function spreadRenewals(
  fleet: () => AsyncIterable<Renewable> | Iterable<Renewable>,
  options: SpreadOptions,
): Promise<Schedule> {
  const { perSecond, from, horizonMs = HORIZON_MS } = options;
  const last = minuteOf(from + horizonMs, from);
  const counts = new Map<number, number>();
  for await (const { dueAt } of fleet()) {
    const minute = minuteOf(dueAt, from);
    if (minute <= last) counts.set(minute, (counts.get(minute) ?? 0) + 1);
  }
  const minutes = new Map<number, Minute>();
  for (const [minute, count] of counts) minutes.set(minute, emptyMinute(count, perSecond));
  for await (const certificate of fleet()) {
    const found = minutes.get(minuteOf(certificate.dueAt, from));
    if (found !== undefined) (found.cells[cellOf(certificate, found)] as number)++;
  }
  const crowded = assignSeconds(minutes, perSecond);
  if (crowded.size > 0)
    for await (const certificate of fleet()) {
      const minute = minuteOf(certificate.dueAt, from);
      const found = minutes.get(minute);
      if (found !== undefined)
        crowded.get(`${minute} ${cellOf(certificate, found)}`)?.push(certificate.serialNumber);
    }
  for (const serials of crowded.values()) serials.sort();

  return {
    cells: [...minutes.values()].reduce((sum, { cells }) => sum + cells.length, 0),
    timeOf(certificate) {
      const minute = minuteOf(certificate.dueAt, from);
      const found = minutes.get(minute);
      const earliest = Math.ceil(Math.max(certificate.dueAt, from) / 1000);
      if (found === undefined) return earliest * 1000;
      const cell = cellOf(certificate, found);
      const before =
        crowded.get(`${minute} ${cell}`)?.findIndex((one) => one >= certificate.serialNumber) ?? 0;
      const second = (found.cells[cell] as number) + Math.floor(Math.max(before, 0) / perSecond);
      const latest = Math.floor((certificate.notAfter - LAST_CHANCE_MS) / 1000);
      return Math.max(Math.min(second, latest), earliest) * 1000;
    },
  };
}

/** The first whole minute in which it may renew. */
function minuteOf(dueAt: number, from: number): number {
  return Math.ceil(Math.max(dueAt, from) / MINUTE_MS);
}

function emptyMinute(count: number, perSecond: number): Minute {
  const wanted = Math.ceil(Math.log2(Math.max(1, (count * CELLS_IN_A_SECOND) / perSecond)));
  const bits = Math.min(MAX_BITS, wanted);
  return { bits, cells: new Uint32Array(2 ** bits) };
}

function cellOf({ serialNumber }: Renewable, { bits }: Minute): number {
  if (bits === 0) return 0;
  return Number.parseInt(serialNumber.slice(0, 8).padEnd(8, '0'), 16) >>> (32 - bits);
}

/**
 * Puts the second of each cell in place of its count, minute after minute, as many cells into a second as it takes.
 * @returns an empty list for each cell that needs several seconds
 */
function assignSeconds(minutes: ReadonlyMap<number, Minute>, perSecond: number): Map<string, string[]> {
  const crowded = new Map<string, string[]>();
  let second = Number.NEGATIVE_INFINITY;
  let taken = 0;
  for (const [minute, { cells }] of [...minutes].toSorted(([a], [b]) => a - b)) {
    const start = (minute * MINUTE_MS) / 1000;
    if (start > second) {
      second = start;
      taken = 0;
    }
    for (const [cell, count] of cells.entries()) {
      if (taken > 0 && taken + count > perSecond) {
        second++;
        taken = 0;
      }
      cells[cell] = second;
      taken += count;
      if (taken > perSecond) {
        crowded.set(`${minute} ${cell}`, []);
        second += Math.ceil(taken / perSecond) - 1;
        taken = taken % perSecond === 0 ? perSecond : taken % perSecond;
      }
    }
  }
  return crowded;
}
