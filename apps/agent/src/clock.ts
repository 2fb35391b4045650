import type { DeviceFolder } from './device-folder.ts';

/** When this agent was released: a clock that says an earlier time has not been set. */
export const BUILT_AT = Date.parse('2026-11-01T00:00:00Z');

/** What is known of the time besides the system's clock, of which a process has one as well. */
const known: {
  /** A time that has passed; it moves forward only. */
  floor: number;
  /** What a server that was verified said, and when: Unix ms, and ms of the monotonic clock. */
  heard?: { readonly at: number; readonly since: number };
  readonly keepers: Set<(floor: number) => void>;
} = { floor: BUILT_AT, keepers: new Set() };

/** What the system's clock says, right or wrong: for the log, and to say that it is wrong. Unix ms. */
export function systemNow(): number {
  return Date.now();
}

/**
 * Ms since some moment, for all waiting: no setting of the clock moves it. With the clock ({@link deviceNow}) only
 * certificates and what others said are compared.
 */
export function ticksNow(): number {
  return performance.now();
}

/** Unix ms; undefined on a device whose clock was never set, as after a cold start without a battery (F60). */
export function clockNow(): number | undefined {
  const now = systemNow();
  return now < known.floor ? undefined : now;
}

/** A time that has passed, whatever the clock says. Unix ms. */
export function clockFloor(): number {
  return known.floor;
}

/** The time for what is planned, on a device whose clock was never set too: nothing is verified by it. Unix ms. */
export function deviceNow(): number {
  const { heard, floor } = known;
  const told = heard === undefined ? floor : heard.at + (ticksNow() - heard.since);
  return clockNow() ?? Math.max(told, floor);
}

/** A certificate that was verified began then: the present is later. */
export function raiseFloor(notBefore: number): void {
  if (notBefore <= known.floor) return;
  known.floor = notBefore;
  for (const keep of known.keepers) keep(notBefore);
}

/** What a verified server says of the present (`Date`). Only for plans: a server's clock may be wrong. */
export function hearTime(date: string | undefined): void {
  const at = Date.parse(date ?? '');
  if (Number.isFinite(at) && at > deviceNow()) known.heard = { at, since: ticksNow() };
}

/**
 * Keeps the floor in the device folder from now on (`clock.json`): a device that has once spoken with a verified server
 * does not go back behind that time, whatever its clock says after the next cold start.
 * @throws AgentError `broken-folder`
 */
export async function keepClock(folder: DeviceFolder): Promise<AsyncDisposable> {
  const kept = (await folder.clockFloor()) ?? BUILT_AT;
  raiseFloor(kept);
  let written = Promise.resolve();
  let failure: unknown;
  const keep = (floor: number) => {
    written = written
      .then(() => folder.putClockFloor(floor))
      .catch((error: unknown) => {
        failure = error;
      });
  };
  if (known.floor > Math.max(kept, BUILT_AT)) keep(known.floor);
  known.keepers.add(keep);
  return {
    async [Symbol.asyncDispose]() {
      known.keepers.delete(keep);
      await written;
      if (failure !== undefined) throw failure;
    },
  };
}
