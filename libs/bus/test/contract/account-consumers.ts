import { newEvent, type SignetEvent } from '@signet/contracts';
import { expect, it, vi } from 'vitest';
import type { Consumer } from '../../src/index.ts';
import type { BusHarness } from '../harness.ts';

const eventOf = (account: string, device: string, time = Date.now()): SignetEvent =>
  newEvent('DEVICE_FIRST_SEEN', {
    ...{ account, subject: device, time },
    data: { deviceId: device, fingerprint: 'a'.repeat(64), authorityId: 'x' },
  });

export function accountConsumerContract(harness: () => BusHarness): void {
  it('hands a consumer of one account what came since it began, and no event of another account', async () => {
    const bus = await harness().replica();
    await bus.publish([eventOf('acme', 'before')]);
    const stored = Date.now();
    await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(stored + 5));
    const consumer = consumerOf('of-acme');
    const seen: string[] = [];
    await using _ = await bus.consume(consumer, async ({ account, subject }) => {
      seen.push(`${account}/${subject}`);
    });
    await bus.publish([eventOf('globex', 'a'), eventOf('acme', 'b'), eventOf('acme', 'c')]);
    await vi.waitFor(() => expect(seen.toSorted()).toEqual(['acme/b', 'acme/c']), 10_000);
    await vi.waitFor(async () => expect(await bus.pending(consumer)).toBe(0), 10_000);
  });

  it('counts what a consumer has yet to settle, and forgets it with its dead letters', async () => {
    const bus = await harness().replica();
    const consumer = { ...consumerOf('ending'), maxDeliveries: 1 };
    const gate = Promise.withResolvers<void>();
    const subscription = await bus.consume(consumer, async () => {
      await gate.promise;
      throw new Error('no');
    });
    const before = await bus.position();
    await bus.publish([eventOf('acme', 'a'), eventOf('acme', 'a'), eventOf('globex', 'a')]);
    expect(await bus.position()).toBe(before + 3);
    const { types } = consumer;
    expect(await bus.countSince({ types, account: 'acme', after: before })).toBe(2);
    expect(await bus.countSince({ types, account: 'acme', after: before + 3 })).toBe(0);
    await vi.waitFor(async () => expect(await bus.pending(consumer)).toBe(2), 10_000);
    gate.resolve();
    await vi.waitFor(async () => expect(await bus.deadLetters.list('ending')).toHaveLength(2), 10_000);
    await vi.waitFor(async () => expect(await bus.pending(consumer)).toBe(0), 10_000);
    await subscription[Symbol.asyncDispose]();
    await bus.deleteConsumer(consumer);
    await bus.deleteConsumer(consumer);
    expect(await bus.deadLetters.list('ending')).toEqual([]);

    const again: string[] = [];
    await using _ = await bus.consume(consumer, async ({ subject }) => {
      again.push(subject);
    });
    await vi.waitFor(() => expect(again).toEqual(['a', 'a']), 10_000);
  });
}

function consumerOf(durable: string): Consumer {
  const since = new Date().toISOString();
  return { durable, types: ['DEVICE_FIRST_SEEN'], account: 'acme', since, ordered: true };
}
