import { expect, it, vi } from 'vitest';
import { numbered, numberOf } from '../events.ts';
import type { BusHarness } from '../harness.ts';

export function fullContract(harness: () => BusHarness): void {
  it('makes publishers wait while the log is full, says so, and drops nothing', async () => {
    harness().bound();
    const bus = await harness().replica();
    let next = 0;
    const isStored = () =>
      bus.publish([numbered('dev-1', next)], { signal: AbortSignal.timeout(300) }).then(
        () => true,
        (error: unknown) => {
          expect(error).toMatchObject({ name: 'BusError', code: 'full' });
          return false;
        },
      );
    while (next < 2000 && (await isStored())) next++;
    expect(next).toBeGreaterThan(10);

    expect(bus.failure()).toContain('full');
    const waiting = bus.publish([numbered('dev-1', next++)]);

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
