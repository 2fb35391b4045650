import { expect, it, vi } from 'vitest';
import { numbered, numberOf } from '../events.ts';
import type { BusHarness } from '../harness.ts';

export function fullContract(harness: () => BusHarness): void {
  it('makes publishers wait while the log is full, says so, and drops nothing', async () => {
    harness().bound();
    const bus = await harness().replica();
    let next = 0;
    let waiting: Promise<void> | undefined;
    while (waiting === undefined && next < 2000) {
      const publishing = bus.publish([numbered('dev-1', next++)]);
      const stored = await Promise.race([
        publishing.then(() => true),
        vi
          .waitFor(() => expect(bus.failure()).toContain('full'), { timeout: 10_000, interval: 5 })
          .then(() => false),
      ]);
      if (!stored) waiting = publishing;
    }
    expect(waiting).toBeDefined();
    expect(next).toBeGreaterThan(10);

    await expect(
      bus.publish([numbered('dev-2', 0)], { signal: AbortSignal.timeout(200) }),
    ).rejects.toMatchObject({ name: 'BusError', code: 'full' });

    const heard = new Set<number>();
    await bus.consume({ durable: 'reader', types: ['DEVICE_FIRST_SEEN'] }, async (event) => {
      heard.add(numberOf(event));
    });
    await vi.waitFor(() => expect(heard.size).toBe(next - 1), 10_000);
    await harness().makeRoom();
    await waiting;
    await vi.waitFor(() => expect(heard.size).toBe(next), 10_000);
    expect(bus.failure()).toBeUndefined();
  });
}
