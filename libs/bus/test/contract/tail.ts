import { newEvent } from '@signet/contracts';
import { expect, it, vi } from 'vitest';
import { numbered, numberOf } from '../events.ts';
import type { BusHarness } from '../harness.ts';

const types = ['DEVICE_FIRST_SEEN'] as const;

export function tailContract(harness: () => BusHarness): void {
  it('tails from the start, from now on, or from after a position, on every replica', async () => {
    const [one, two] = [await harness().replica(), await harness().replica()];
    await one.publish([1, 2, 3].map((n) => numbered(`dev-${n}`, n)));
    const all: { n: number; position: number }[] = [];
    const fresh: number[] = [];
    await one.tail({ types, from: 'start' }, (event, position) => {
      all.push({ n: numberOf(event), position });
    });
    await two.tail({ types, from: 'new' }, (event) => {
      fresh.push(numberOf(event));
    });
    await one.publish([4, 5].map((n) => numbered(`dev-${n}`, n)));
    await vi.waitFor(() => expect(all.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5]), 10_000);
    await vi.waitFor(() => expect(fresh).toEqual([4, 5]), 10_000);
    const positions = all.map(({ position }) => position);
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));

    const after: number[] = [];
    await two.tail({ types, from: { after: all[2]?.position ?? 0 } }, (event) => {
      after.push(numberOf(event));
    });
    await vi.waitFor(() => expect(after).toEqual([4, 5]), 10_000);
  });

  it('tails one account only when asked to', async () => {
    const bus = await harness().replica();
    const heard: string[] = [];
    await bus.tail({ types, from: 'start', account: 'acme' }, ({ account }) => {
      heard.push(account);
    });
    const { data, subject } = numbered('dev-1', 1);
    await bus.publish([
      newEvent('DEVICE_FIRST_SEEN', { account: 'rival', subject, data, time: Date.now() }),
      numbered('dev-1', 2),
    ]);
    await vi.waitFor(() => expect(heard).toEqual(['acme']), 10_000);
  });

  it('awaits the handler of a tail, and goes on after one that fails or a message that is no event', async () => {
    const bus = await harness().replica();
    const order: string[] = [];
    await bus.tail({ types, from: 'start' }, async (event) => {
      order.push(`begin ${numberOf(event)}`);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(`end ${numberOf(event)}`);
      if (numberOf(event) === 1) throw new Error('once');
    });
    await bus.publish([numbered('dev-1', 1)]);
    await harness().publishMalformed('dev-1');
    await bus.publish([numbered('dev-1', 2)]);
    await vi.waitFor(() => expect(order).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2']), 10_000);
    expect(harness().lines.filter(({ level }) => level === 'error')).toHaveLength(2);
  });
}
