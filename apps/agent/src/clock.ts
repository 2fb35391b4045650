/** When this agent was released: a clock that says an earlier time has not been set. */
export const BUILT_AT = Date.parse('2026-11-01T00:00:00Z');

/** Unix ms; undefined on a device whose clock was never set, as after a cold start without a battery (F60). */
export function clockNow(): number | undefined {
  const now = Date.now();
  return now < BUILT_AT ? undefined : now;
}
