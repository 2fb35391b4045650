import { expect, it, vi } from 'vitest';
import { numbered, numberOf } from '../events.ts';
import type { BusHarness } from '../harness.ts';

const types = ['DEVICE_FIRST_SEEN'] as const;

export function deadLetterContract(harness: () => BusHarness): void {
  it.each([false, true])(
    'gives up after the last try, lists the event, and hands it out again on retry (ordered: %s)',
    async (ordered) => {
      const bus = await harness().replica();
      let healed = false;
      const done: number[] = [];
      await bus.consume(
        { durable: 'giving-up', types, ordered, maxDeliveries: 3, backoffMs: [10] },
        async (event) => {
          if (numberOf(event) === 1 && !healed) throw new Error('the lift is out of order');
          done.push(numberOf(event));
        },
      );
      const bystander: number[] = [];
      await bus.consume({ durable: 'bystander', types }, async (event) => {
        bystander.push(numberOf(event));
      });
      const event = numbered('dev-1', 1);
      await bus.publish([event, numbered('dev-1', 2)]);
      await vi.waitFor(async () => expect(await bus.deadLetters.list()).toHaveLength(1), 10_000);
      await vi.waitFor(() => expect(done).toEqual([2]), 10_000);
      expect(await bus.deadLetters.list('somebody-else')).toEqual([]);
      const [letter] = await bus.deadLetters.list('giving-up');
      expect(letter).toMatchObject({ consumer: 'giving-up', event, error: 'the lift is out of order' });
      expect(Math.abs(Date.parse(letter?.at ?? '') - Date.now())).toBeLessThan(60_000);

      healed = true;
      await bus.deadLetters.retry(letter?.id ?? '');
      await vi.waitFor(() => expect(done).toEqual([2, 1]), 10_000);
      expect(await bus.deadLetters.list()).toEqual([]);
      expect(bystander.sort()).toEqual([1, 2]);
    },
  );

  it('returns an event to the dead letters when the retry fails as often', async () => {
    const bus = await harness().replica();
    let tries = 0;
    await bus.consume({ durable: 'hopeless', types, maxDeliveries: 2, backoffMs: [10] }, async () => {
      tries++;
      throw new Error(`try ${tries}`);
    });
    await bus.publish([numbered('dev-1', 1)]);
    await vi.waitFor(async () => expect(await bus.deadLetters.list()).toHaveLength(1), 10_000);
    const [letter] = await bus.deadLetters.list();
    await bus.deadLetters.retry(letter?.id ?? '');
    await vi.waitFor(async () => {
      expect(await bus.deadLetters.list()).toMatchObject([{ error: 'try 4' }]);
    }, 10_000);
  });

  it('drops a dead letter, and says so when there is none of that id', async () => {
    const bus = await harness().replica();
    await bus.consume({ durable: 'dropping', types, maxDeliveries: 1 }, async () => {
      throw new Error('no');
    });
    await bus.publish([numbered('dev-1', 1)]);
    await vi.waitFor(async () => expect(await bus.deadLetters.list()).toHaveLength(1), 10_000);
    const [letter] = await bus.deadLetters.list();
    await bus.deadLetters.drop(letter?.id ?? '');
    expect(await bus.deadLetters.list()).toEqual([]);
    const unknown = { name: 'BusError', code: 'unknown-dead-letter' };
    await expect(bus.deadLetters.drop(letter?.id ?? '')).rejects.toMatchObject(unknown);
    await expect(bus.deadLetters.retry('no-number')).rejects.toMatchObject(unknown);
  });

  it.each([false, true])(
    'sends a malformed message to the dead letters and goes on with the next (ordered: %s)',
    async (ordered) => {
      const bus = await harness().replica();
      const done: number[] = [];
      await bus.consume({ durable: 'strict', types, ordered }, async (event) => {
        done.push(numberOf(event));
      });
      await harness().publishMalformed('dev-1');
      await bus.publish([numbered('dev-1', 1)]);
      await vi.waitFor(() => expect(done).toEqual([1]), 10_000);
      await vi.waitFor(async () => {
        expect(await bus.deadLetters.list()).toMatchObject([
          {
            consumer: 'strict',
            event: undefined,
            text: '{"not":"an event"}',
            error: expect.stringContaining('malformed event'),
          },
        ]);
      }, 10_000);
    },
  );
}
