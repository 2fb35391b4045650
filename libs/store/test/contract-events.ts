import { describe, expect, it } from 'vitest';
import type { EngineUnderTest, Stores } from './contract.ts';
import { eventOf, TestBus, things } from './things.ts';

/** Events that are written with a document and published after it. */
export function describeEvents(stores: Stores, { many }: EngineUnderTest): void {
  const NEVER = 3_600_000;

  describe('events', () => {
    it('publishes the events of each change in their order, numbered by document', async () => {
      const bus = new TestBus();
      const collection = await (await stores.open({ publish: bus.publish, sweepMs: NEVER })).collection(
        things,
      );
      const [a, b, c, d] = [eventOf('1'), eventOf('1'), eventOf('1'), eventOf('2')] as const;
      await collection.insert({ id: '1' }, [a, b]);
      await collection.update('1', (document) => ({ document, events: [c] }));
      await collection.insert({ id: '2' }, [d]);
      await expect.poll(() => bus.ids().toSorted()).toEqual([a, b, c, d].map(({ id }) => id).toSorted());
      const ofFirst = bus.events.filter(({ subject }) => subject === '1');
      expect(ofFirst.map(({ id, sequence }) => [id, sequence])).toEqual([
        [a.id, 1],
        [b.id, 2],
        [c.id, 3],
      ]);
      expect(bus.events.find(({ id }) => id === d.id)).toEqual({ ...d, sequence: 1 });
    });

    it('does not make the writer wait for the bus, and goes on writing the document meanwhile', async () => {
      const bus = new TestBus();
      bus.hold();
      const collection = await (await stores.open({ publish: bus.publish, sweepMs: NEVER })).collection(
        things,
      );
      const events = Array.from({ length: 5 }, () => eventOf('1'));
      await collection.insert({ id: '1', count: 0 }, events.slice(0, 1));
      for (const event of events.slice(1)) {
        await collection.update('1', (thing) => ({
          document: { ...thing, count: (thing.count ?? 0) + 1 },
          events: [event],
        }));
      }
      expect(await collection.get('1')).toEqual({ id: '1', count: 4 });
      expect(bus.events).toEqual([]);
      bus.release();
      await expect.poll(() => bus.ids()).toEqual(events.map(({ id }) => id));
    });

    it('keeps the head of the outbox first when the bus fails, and sweeps it up', async () => {
      const bus = new TestBus();
      bus.failures = 4;
      const collection = await (await stores.open({ publish: bus.publish, sweepMs: 20 })).collection(things);
      const events = Array.from({ length: 4 }, () => eventOf('1'));
      await collection.insert({ id: '1' }, events.slice(0, 2));
      await collection.update('1', (document) => ({ document, events: events.slice(2) }));
      await expect.poll(() => bus.ids()).toEqual(events.map(({ id }) => id));
    });

    it('does not storm a bus that refuses while many documents wait', async () => {
      let calls = 0;
      const publish = async () => {
        calls += 1;
        throw new Error('the bus is full');
      };
      const store = await stores.open({ publish, sweepMs: NEVER });
      const collection = await store.collection(things);
      await Promise.all(
        Array.from({ length: many }, (_, i) => collection.insert({ id: `${i}` }, [eventOf(`d${i}`)])),
      );
      await store[Symbol.asyncDispose]();
      expect(calls).toBeLessThanOrEqual(many);
    });

    it('lets any replica sweep up at its start, once', async () => {
      const dead = new TestBus();
      dead.failures = Number.POSITIVE_INFINITY;
      const first = await stores.open({ publish: dead.publish, sweepMs: NEVER });
      const event = eventOf('1');
      await (await first.collection(things)).insert({ id: '1' }, [event]);
      await first[Symbol.asyncDispose]();

      const bus = new TestBus();
      const second = await stores.open({ publish: bus.publish, sweepMs: NEVER });
      await second.collection(things);
      await expect.poll(() => bus.ids()).toEqual([event.id]);
      await second[Symbol.asyncDispose]();

      const third = await stores.open({ publish: bus.publish, sweepMs: 5 });
      const marker = eventOf('2');
      await (await third.collection(things)).insert({ id: '2' }, [marker]);
      await expect.poll(() => bus.ids()).toEqual([event.id, marker.id]);
    });

    it('sweeps up more documents than are published from at once', async () => {
      const bus = new TestBus();
      bus.hold();
      const collection = await (await stores.open({ publish: bus.publish, sweepMs: NEVER })).collection(
        things,
      );
      const events = Array.from({ length: many }, (_, i) => eventOf(`d${i}`));
      await Promise.all(events.map((event, i) => collection.insert({ id: `${i}` }, [event])));
      bus.release();
      await expect.poll(() => new Set(bus.ids()).size, { timeout: 50_000, interval: 50 }).toBe(many);
    });

    it('hides a removed document at once, but publishes its events, also under the same id again', async () => {
      const bus = new TestBus();
      bus.hold();
      const collection = await (await stores.open({ publish: bus.publish, sweepMs: NEVER })).collection(
        things,
      );
      const [a, b, c] = [eventOf('1'), eventOf('1'), eventOf('1')] as const;
      await collection.insert({ id: '1', label: 'x' }, [a]);
      await collection.update('1', (document) => ({ document, events: [b] }));
      await collection.remove('1');
      expect(await collection.get('1')).toBeUndefined();
      expect((await collection.find()).items).toEqual([]);
      expect((await collection.find({ index: 'label' })).items).toEqual([]);
      expect(await collection.count()).toBe(0);
      await expect(collection.update('1', (document) => ({ document }))).rejects.toMatchObject({
        code: 'not-found',
      });

      await collection.insert({ id: '1', label: 'y' }, [c]);
      expect(await collection.get('1')).toEqual({ id: '1', label: 'y' });
      bus.release();
      await expect
        .poll(() => bus.events.map(({ id, sequence }) => [id, sequence]))
        .toEqual([
          [a.id, 1],
          [b.id, 2],
          [c.id, 3],
        ]);
    });

    it('applies an event once, however often it comes', async () => {
      const collection = await (await stores.open()).collection(things);
      await collection.insert({ id: '1', count: 0 });
      const apply = (appliedEvent: string) =>
        collection.update('1', (thing) => ({ document: { ...thing, count: (thing.count ?? 0) + 1 } }), {
          appliedEvent,
        });
      await Promise.all(['e', 'e', 'f', 'e'].map(apply));
      expect(await apply('f')).toEqual({ id: '1', count: 2 });
    });

    it('remembers the last 64 events that a document applied', async () => {
      const collection = await (await stores.open()).collection(things);
      await collection.insert({ id: '1', count: 0 });
      const apply = (event: number) =>
        collection.update('1', (thing) => ({ document: { ...thing, count: (thing.count ?? 0) + 1 } }), {
          appliedEvent: `event-${event}`,
        });
      for (let i = 0; i < 65; i++) await apply(i);
      expect((await apply(1)).count).toBe(65);
      expect((await apply(64)).count).toBe(65);
      expect((await apply(0)).count).toBe(66);
    });
  });
}
