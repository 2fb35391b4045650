import { expect, it, vi } from 'vitest';
import { deviceApartFrom, numbered, numberOf } from '../events.ts';
import type { BusHarness } from '../harness.ts';

export function orderContract(harness: () => BusHarness): void {
  it('applies the events of a device in order over two replicas when one in the middle fails, and holds back no other partition', async () => {
    const [first, second] = [await harness().replica(), await harness().replica()];
    const troubled = 'dev-1';
    const free = deviceApartFrom(troubled);
    const effects: string[] = [];
    let failures = 0;
    for (const bus of [first, second]) {
      await bus.consume(
        { durable: 'in-order', types: ['DEVICE_FIRST_SEEN'], ordered: true, backoffMs: [1000] },
        async (event, { attempt }) => {
          if (event.subject === troubled && numberOf(event) === 3 && attempt < 3) {
            failures++;
            throw new Error('the sixth sense said no');
          }
          effects.push(`${event.subject} ${numberOf(event)}`);
        },
      );
    }
    const numbers = Array.from({ length: 10 }, (_, n) => n);
    for (const n of numbers) await first.publish([numbered(troubled, n), numbered(free, n)]);
    await vi.waitFor(() => expect(effects.length).toBeGreaterThanOrEqual(20), 20_000);
    expect(failures).toBe(2);
    expect(effects.filter((effect) => effect.startsWith(`${troubled} `))).toEqual(
      numbers.map((n) => `${troubled} ${n}`),
    );
    expect(effects.filter((effect) => effect.startsWith(`${free} `))).toEqual(
      numbers.map((n) => `${free} ${n}`),
    );
    expect(effects.indexOf(`${free} 9`)).toBeLessThan(effects.indexOf(`${troubled} 3`));
  });

  it('runs one handler at a time for a partition, over two replicas', async () => {
    const replicas = [await harness().replica(), await harness().replica()];
    let running = 0;
    let most = 0;
    const done: number[] = [];
    for (const bus of replicas) {
      await bus.consume(
        { durable: 'single-file', types: ['DEVICE_FIRST_SEEN'], ordered: true },
        async (event) => {
          most = Math.max(most, ++running);
          await new Promise((resolve) => setTimeout(resolve, 1));
          running--;
          done.push(numberOf(event));
        },
      );
    }
    const numbers = Array.from({ length: 30 }, (_, n) => n);
    await replicas[1]?.publish(numbers.map((n) => numbered('dev-1', n)));
    await vi.waitFor(() => expect(done.length).toBeGreaterThanOrEqual(30), 10_000);
    expect(done).toEqual(numbers);
    expect(most).toBe(1);
  });
}
