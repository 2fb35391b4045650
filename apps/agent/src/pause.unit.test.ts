import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jittered } from './pause.ts';

describe('the wait before the next try', () => {
  it('doubles with each failure up to its ceiling, and is anywhere below that', () => {
    const longest = [0, 1, 2, 3, 4, 5].map((failures) => jittered(failures, 250, 5000, () => 1));
    expect(longest).toEqual([250, 500, 1000, 2000, 4000, 5000]);
    expect(jittered(5, 250, 5000, () => 0)).toBe(0);
    expect(jittered(5, 250, 5000, () => 0.5)).toBe(2500);
  });

  it('stays below the ceiling however often it failed', () => {
    fc.assert(
      fc.property(fc.nat({ max: 10_000 }), (failures) => {
        const ms = jittered(failures, 250, 60_000);
        expect(ms).toBeGreaterThanOrEqual(0);
        expect(ms).toBeLessThanOrEqual(60_000);
      }),
    );
  });
});
