import { expect, it } from 'vitest';
import { RenewalClock } from './renewal-clock.ts';
import type { RenewalPlan } from './renewal-plan.ts';

const HOUR = 3_600_000;

it('a renewal that failed, and a question to the server, are waited for whatever the clock is set to', async () => {
  let now = 1_700_000_000_000 + 24 * HOUR;
  let ticks = 5;
  let asked = 0;
  const plan: RenewalPlan = { renewAt: now + 100 * HOUR, askAgainMs: HOUR, by: 'server' };
  const ask = async () => {
    asked++;
    return plan;
  };
  const clock = new RenewalClock({ ask }, () => {}, { now: () => now, ticks: () => ticks });
  expect(clock.isDue()).toBe(false);
  await new Promise((resolve) => clock.changed.addEventListener('abort', resolve));
  expect(clock.waitMs).toBe(HOUR);

  // it was a day ahead, and is set back
  now -= 24 * HOUR;
  ticks += HOUR;
  expect(clock.isDue()).toBe(false);
  expect(asked).toBe(2);

  clock.postpone(5000);
  now -= 24 * HOUR;
  expect(clock.waitMs).toBe(5000);
  ticks += 5000;
  expect(clock.isDue()).toBe(true);
});
