import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  all,
  type CollectionSpec,
  defineCollection,
  insertIfAbsent,
  insertOrGet,
  isDuplicate,
  put,
} from '../src/index.ts';
import type { Stores } from './contract.ts';
import { eventOf, TestBus, Thing, things } from './things.ts';

const numbered = Array.from({ length: 7 }, (_, i) => ({ id: `${i}`, account: 'acme', size: 6 - i }));

/** What is written many times over the interface of a collection. */
export function describeHelpers(stores: Stores): void {
  describe('helpers', () => {
    it('all() gives every document of a query in its order, page by page', async () => {
      const collection = await (await stores.open()).collection(things);
      for (const thing of numbered) await collection.insert(thing);
      await collection.insert({ id: 'other', account: 'other', size: 1 });
      const query = { index: 'size', equals: { account: 'acme' }, limit: 3 } as const;
      expect((await Array.fromAsync(all(collection, query))).map(({ size }) => size)).toEqual([
        0, 1, 2, 3, 4, 5, 6,
      ]);
      const down = all(collection, { ...query, descending: true });
      expect((await Array.fromAsync(down)).map(({ id }) => id)).toEqual(numbered.map(({ id }) => id));
      expect(await Array.fromAsync(all(collection))).toHaveLength(8);
      expect(await Array.fromAsync(all(collection, { index: 'label', prefix: 'none' }))).toEqual([]);
    });

    it('all() reads no further than its caller does', async () => {
      const collection = await (await stores.open()).collection(things);
      for (const thing of numbered) await collection.insert(thing);
      let pages = 0;
      const counted: Pick<typeof collection, 'find'> = {
        find: (query) => {
          pages += 1;
          return collection.find(query);
        },
      };
      for await (const { id } of all(counted, { limit: 2 })) if (id === '1') break;
      expect(pages).toBe(1);
    });

    it('insertOrGet() gives all that insert one id at once the document of the first', async () => {
      const collection = await (await stores.open()).collection(things);
      const results = await Promise.all(
        [1, 2, 3, 4].map((count) => insertOrGet(collection, { id: 'a', count })),
      );
      const [first] = results.filter(({ inserted }) => inserted);
      expect(results.filter(({ inserted }) => inserted)).toHaveLength(1);
      for (const { document } of results) expect(document).toEqual(first?.document);
      expect(await collection.get('a')).toEqual(first?.document);
    });

    it('insertIfAbsent() and insertOrGet() leave the violation of another index to the caller', async () => {
      const collection = await (await stores.open()).collection(things);
      await collection.insert({ id: 'a', label: 'taken' });
      expect(await insertIfAbsent(collection, { id: 'a', label: 'free' })).toBe(false);
      const taken = { id: 'b', label: 'taken' };
      for (const write of [insertIfAbsent(collection, taken), insertOrGet(collection, taken)]) {
        const error: unknown = await write.catch((reason: unknown) => reason);
        expect([isDuplicate(error), isDuplicate(error, 'label'), isDuplicate(error, 'id')]).toEqual([
          true,
          true,
          false,
        ]);
      }
    });

    it('put() makes a document or changes it, and loses no write of several at once', async () => {
      const collection = await (await stores.open()).collection(things);
      const add = () =>
        put(collection, 'a', (current) => ({ document: { id: 'a', count: (current?.count ?? 0) + 1 } }));
      await Promise.all(Array.from({ length: 8 }, add));
      expect(await collection.get('a')).toEqual({ id: 'a', count: 8 });
    });

    it('put() writes its events with the document, and nothing where nothing is to be written', async () => {
      const bus = new TestBus();
      const collection = await (await stores.open({ publish: bus.publish })).collection(things);
      expect(await put(collection, 'a', () => undefined)).toBeUndefined();
      expect(await collection.get('a')).toBeUndefined();
      const events = [eventOf('a')];
      await put(collection, 'a', () => ({ document: { id: 'a' }, events }));
      expect(await put(collection, 'a', () => undefined)).toEqual({ id: 'a' });
      await expect.poll(() => bus.events.map(({ id }) => id)).toEqual(events.map(({ id }) => id));
    });

    it('defineCollection() takes the type of documents from the schema', async () => {
      const defined = defineCollection({
        name: 'test.things',
        schema: Thing,
        indexes: { place: { fields: ['account', 'label'], unique: true } },
      });
      expectTypeOf(defined).toEqualTypeOf<CollectionSpec<Thing, 'place'>>();
      defineCollection({
        name: 'test.things',
        schema: Thing,
        // @ts-expect-error an index over a field that documents do not have
        indexes: { place: { fields: ['colour'] } },
      });
      const collection = await (await stores.open()).collection(defined);
      await collection.insert({ id: '1', account: 'acme', label: 'a' });
      expect(await collection.count({ index: 'place', equals: { account: 'acme' } })).toBe(1);
    });
  });
}
