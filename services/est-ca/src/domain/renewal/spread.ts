/** A certificate that is to be renewed: from `dueAt` on, and before `notAfter` (Unix milliseconds). */
export type Renewable = { readonly serialNumber: string; readonly dueAt: number; readonly notAfter: number };

/** So long before its end a certificate is renewed at the latest, whatever the rate. */
const LAST_CHANCE_MS = 3_600_000;

/**
 * When each of a fleet renews, so that no more than `perSecond` come in any one second: in the order in which they fall
 * due, from `from` (Unix ms) on, those that fall due together by serial number. The same fleet always gives the same
 * times, on every replica. Only where a fleet is too large to be through before it ends is the rate passed: a device
 * that is stranded is worse than a busy hour.
 * @returns serial number → start of its second, Unix milliseconds
 */
export function spreadRenewals(
  fleet: readonly Renewable[],
  options: { readonly perSecond: number; readonly from: number },
): ReadonlyMap<string, number> {
  const inOrder = fleet.toSorted(
    (a, b) =>
      a.dueAt - b.dueAt || (a.serialNumber < b.serialNumber ? -1 : Number(a.serialNumber > b.serialNumber)),
  );
  const times = new Map<string, number>();
  let second = Number.NEGATIVE_INFINITY;
  let taken = 0;
  for (const { serialNumber, dueAt, notAfter } of inOrder) {
    const earliest = Math.ceil(Math.max(dueAt, options.from) / 1000);
    if (earliest > second) {
      second = earliest;
      taken = 0;
    } else if (taken >= options.perSecond) {
      second += 1;
      taken = 0;
    }
    taken += 1;
    const latest = Math.floor((notAfter - LAST_CHANCE_MS) / 1000);
    times.set(serialNumber, Math.max(Math.min(second, latest), earliest) * 1000);
  }
  return times;
}
