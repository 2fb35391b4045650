import { describe, expect, it } from 'vitest';
import type { EngineUnderTest, Stores } from './contract.ts';
import { eventOf, plainThings, TestBus, Thing, things } from './things.ts';

/** What is unique, and indexes that a later version brings. */
export function describeIndexes(stores: Stores, { many }: EngineUnderTest): void {
  describe('indexes', () => {
    it('refuses a second document with a unique value, and names the index', async () => {
      const collection = await (await stores.open()).collection(things);
      await collection.insert({ id: '1', label: 'x' });
      await expect(collection.insert({ id: '2', label: 'x' })).rejects.toMatchObject({
        code: 'duplicate',
        index: 'label',
        message: 'test.things "2": label: taken by another document',
      });
      await expect(collection.insert({ id: '1' })).rejects.toMatchObject({ code: 'duplicate', index: 'id' });
      await collection.insert({ id: '2', label: 'y' });
      await expect(
        collection.update('2', (thing) => ({ document: { ...thing, label: 'x' } })),
      ).rejects.toMatchObject({ code: 'duplicate', index: 'label' });
      expect(await collection.get('2')).toEqual({ id: '2', label: 'y' });
    });

    it('holds compound unique values apart by all their fields', async () => {
      const spec = { ...things, indexes: { place: things.indexes.place } } as const;
      const collection = await (await stores.open()).collection(spec);
      await collection.insert({ id: '1', account: 'a', label: 'bc' });
      await collection.insert({ id: '2', account: 'ab', label: 'c' });
      await collection.insert({ id: '3', account: 'a', label: 'bd' });
      await expect(collection.insert({ id: '4', account: 'a', label: 'bc' })).rejects.toMatchObject({
        code: 'duplicate',
        index: 'place',
        message: 'test.things "4": account, label: taken by another document',
      });
    });

    it('leaves documents that lack a field out of the index', async () => {
      const collection = await (await stores.open()).collection(things);
      await collection.insert({ id: '1', account: 'a' });
      await collection.insert({ id: '2', account: 'a' });
      await collection.insert({ id: '3', account: 'a', label: 'x' });
      expect(await collection.count({ index: 'place', equals: { account: 'a' } })).toBe(1);
      expect(await collection.count({ index: 'label' })).toBe(1);
      expect(await collection.count()).toBe(3);
      await collection.update('3', () => ({ document: { id: '3' } }));
      expect(await collection.count({ index: 'label' })).toBe(0);
    });

    it('frees a unique value when its document gives it up or is removed, even with events waiting', async () => {
      const bus = new TestBus();
      bus.hold();
      const collection = await (await stores.open({ publish: bus.publish })).collection(things);
      await collection.insert({ id: '1', label: 'x' }, [eventOf('1')]);
      await collection.update('1', (thing) => ({ document: { ...thing, label: 'y' } }));
      await collection.insert({ id: '2', label: 'x' }, [eventOf('2')]);
      await collection.remove('2');
      await collection.insert({ id: '3', label: 'x' });
      bus.release();
    });

    it('lets one of 20 win who want the same unique value', async () => {
      const collection = await (await stores.open()).collection(things);
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, i) => collection.insert({ id: `${i}`, label: 'x' })),
      );
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(await collection.count()).toBe(1);
    });

    it('finds documents of an earlier version by an index that is new', async () => {
      const before = await stores.open();
      const old = await before.collection({ name: 'test.things', schema: Thing, indexes: {} });
      await Promise.all(
        Array.from({ length: many }, (_, i) =>
          old.insert({ id: `${i}`, account: 'a', label: `l${i % 10}`, size: i }),
        ),
      );
      await before[Symbol.asyncDispose]();
      const collection = await (await stores.open()).collection({ ...plainThings, name: 'test.things' });
      expect(await collection.count({ index: 'size', equals: { account: 'a' }, from: many / 2 })).toBe(
        many / 2,
      );
      expect(await collection.count({ index: 'label', equals: { label: 'l7' } })).toBe(many / 10);
    });

    it('refuses a new unique index that stored documents violate, and names it', async () => {
      const before = await stores.open();
      const old = await before.collection({ name: 'test.things', schema: Thing, indexes: {} });
      await old.insert({ id: '1', label: 'x' });
      await old.insert({ id: '2', label: 'x' });
      await before[Symbol.asyncDispose]();
      const store = await stores.open();
      await expect(store.collection(things)).rejects.toMatchObject({ code: 'duplicate', index: 'label' });
      expect(store.failure()).toMatch(/test\.things: .*unique index label/);
    });
  });
}
