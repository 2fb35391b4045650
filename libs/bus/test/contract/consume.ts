import type { SignetEvent } from '@signet/contracts';
import { expect, it, vi } from 'vitest';
import { numbered, numberOf } from '../events.ts';
import type { BusHarness } from '../harness.ts';

const types = ['DEVICE_FIRST_SEEN'] as const;

export function consumeContract(harness: () => BusHarness): void {
  it('shares the work of a durable consumer among replicas, each event once', async () => {
    const replicas = [await harness().replica(), await harness().replica()];
    const seen: { replica: number; n: number }[] = [];
    for (const [replica, bus] of replicas.entries()) {
      await bus.consume({ durable: 'workers', types }, async (event) => {
        await new Promise((resolve) => setImmediate(resolve));
        seen.push({ replica, n: numberOf(event) });
      });
    }
    await replicas[0]?.publish(Array.from({ length: 60 }, (_, n) => numbered(`dev-${n}`, n)));
    await vi.waitFor(() => expect(seen.length).toBeGreaterThanOrEqual(60), 10_000);
    expect(seen.map(({ n }) => n).sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, n) => n));
    expect(new Set(seen.map(({ replica }) => replica))).toEqual(new Set([0, 1]));
  });

  it('gives every durable consumer all events, also those from before it began', async () => {
    const bus = await harness().replica();
    await bus.publish([numbered('dev-1', 1), numbered('dev-2', 2)]);
    const heard: string[] = [];
    for (const durable of ['one', 'two']) {
      await bus.consume({ durable, types }, async (event) => {
        heard.push(`${durable} ${numberOf(event)}`);
      });
    }
    await vi.waitFor(() => expect(heard.sort()).toEqual(['one 1', 'one 2', 'two 1', 'two 2']), 10_000);
  });

  it('gives a consumer only the types it asked for', async () => {
    const bus = await harness().replica();
    const heard: string[] = [];
    await bus.consume({ durable: 'other', types: ['DEVICE_RETIRED'] }, async ({ type }) => {
      heard.push(`other ${type}`);
    });
    await bus.consume({ durable: 'mine', types }, async ({ type }) => {
      heard.push(`mine ${type}`);
    });
    await bus.publish([numbered('dev-1', 1)]);
    await vi.waitFor(() => expect(heard).toEqual(['mine DEVICE_FIRST_SEEN']), 10_000);
  });

  it('keeps an event that is published twice once', async () => {
    const bus = await harness().replica();
    const heard: number[] = [];
    await bus.consume({ durable: 'once', types, ordered: true }, async (event) => {
      heard.push(numberOf(event));
    });
    const event = numbered('dev-1', 1);
    await bus.publish([event]);
    await bus.publish([event, numbered('dev-1', 2)]);
    await vi.waitFor(() => expect(heard).toEqual([1, 2]), 10_000);
  });

  it('tries a failed event again after the stated waits', async () => {
    const bus = await harness().replica();
    const tries: { attempt: number; at: number }[] = [];
    await bus.consume({ durable: 'retrying', types, backoffMs: [100, 300] }, async (_event, { attempt }) => {
      tries.push({ attempt, at: performance.now() });
      if (attempt < 4) throw new Error('not yet');
    });
    await bus.publish([numbered('dev-1', 1)]);
    await vi.waitFor(() => expect(tries.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]), 10_000);
    const waits = tries.slice(1).map(({ at }, i) => at - (tries[i]?.at ?? 0));
    for (const [i, atLeast] of [100, 300, 300].entries()) {
      expect(waits[i]).toBeGreaterThanOrEqual(atLeast - 10);
      expect(waits[i]).toBeLessThan(atLeast + 5000);
    }
  });

  it('lets handlers in flight finish when it is disposed of, and keeps the rest for later', async () => {
    const bus = await harness().replica();
    const release = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const finished: number[] = [];
    const consumer = { durable: 'draining', types, ordered: true } as const;
    const subscription = await bus.consume(consumer, async (event) => {
      began.resolve();
      await release.promise;
      finished.push(numberOf(event));
    });
    await bus.publish([numbered('dev-1', 1), numbered('dev-1', 2)]);
    await began.promise;
    const disposed = subscription[Symbol.asyncDispose]();
    release.resolve();
    await disposed;
    expect(finished).toEqual([1]);
    await bus.consume(consumer, async (event) => {
      finished.push(numberOf(event));
    });
    await vi.waitFor(() => expect(finished).toEqual([1, 2]), 10_000);
  });

  it('hands a consumer over when the last replica leaves and another joins at the same time', async () => {
    const [one, two] = [await harness().replica(), await harness().replica()];
    const heard: number[] = [];
    const consumer = { durable: 'relay', types, ordered: true } as const;
    const note = async (event: SignetEvent) => {
      heard.push(numberOf(event));
    };
    let last = await one.consume(consumer, note);
    for (let n = 0; n < 10; n++) {
      const publishing = one.publish([numbered('dev-1', n)]);
      const [next] = await Promise.all([two.consume(consumer, note), last[Symbol.asyncDispose]()]);
      await publishing;
      last = next;
    }
    await vi.waitFor(() => expect(heard.length).toBeGreaterThanOrEqual(10), 20_000);
    expect([...new Set(heard)]).toEqual(Array.from({ length: 10 }, (_, n) => n));
  });

  it('refuses a consumer with a wrong name, without types or without tries, naming the field', async () => {
    const bus = await harness().replica();
    for (const [wrong, field] of [
      [{ durable: 'Not.a.name', types }, 'durable'],
      [{ durable: 'fine', types: [] }, 'types'],
      [{ durable: 'fine', types, maxDeliveries: 0 }, 'maxDeliveries'],
      [{ durable: 'fine', types, backoffMs: [] }, 'backoffMs'],
    ] as const) {
      await expect(bus.consume(wrong, async () => {})).rejects.toMatchObject({
        name: 'BusError',
        code: 'invalid-consumer',
        message: expect.stringContaining(field),
      });
    }
  });

  it('fails what is asked of it after it is disposed of with the code "closed"', async () => {
    const bus = await harness().replica();
    await bus[Symbol.asyncDispose]();
    await expect(bus.publish([numbered('dev-1', 1)])).rejects.toMatchObject({
      name: 'BusError',
      code: 'closed',
    });
  });
}
