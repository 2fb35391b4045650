import { describe, expect, it } from 'vitest';
import { unchanged } from '../src/index.ts';
import type { EngineUnderTest, Stores } from './contract.ts';
import { eventOf, plainThings, things } from './things.ts';

/** Single documents: reading, writing, versions. */
export function describeDocuments(stores: Stores, engine: EngineUnderTest): void {
  describe('documents', () => {
    it('gives back what was written, also after it is opened again', async () => {
      const thing = {
        id: 'a/1',
        account: 'acme',
        label: 'Zoë \u{1f511}',
        size: -0.5,
        armed: false,
        config: { 'app.toml': 'x=1', $set: '%41', _bsontype: 'ObjectId', '': 'empty', __proto__x: 'p' },
      };
      const first = await stores.open();
      await (await first.collection(things)).insert(thing);
      expect(await (await first.collection(things)).get('a/1')).toEqual(thing);
      await first[Symbol.asyncDispose]();
      const again = await (await stores.open()).collection(things);
      expect(await again.get('a/1')).toEqual(thing);
      expect(await again.get('a/2')).toBeUndefined();
    });

    it('gives one collection for one name', async () => {
      const store = await stores.open();
      expect(await store.collection(things)).toBe(await store.collection(things));
    });

    it('refuses a collection whose name is not "<service>.<plural>"', async () => {
      const store = await stores.open();
      await expect(store.collection({ ...things, name: 'things' })).rejects.toThrow(
        /collection name: "things"/,
      );
    });

    it('names the field of a document that its schema refuses, and writes nothing', async () => {
      const collection = await (await stores.open()).collection(things);
      const wrong = { id: '1', count: 'many' } as never;
      await expect(collection.insert(wrong)).rejects.toMatchObject({
        code: 'invalid-document',
        message: expect.stringMatching(/^test\.things: count: /),
      });
      await collection.insert({ id: '1', count: 1 });
      await expect(
        collection.update('1', () => ({ document: { id: '1', config: { a: 1 } } as never })),
      ).rejects.toMatchObject({ code: 'invalid-document', message: expect.stringContaining('config.a') });
      expect(await collection.get('1')).toEqual({ id: '1', count: 1 });
    });

    it.each([
      ['an empty id', { id: '' }, 'id'],
      ['an id of 513 characters', { id: 'x'.repeat(513) }, 'id'],
      ['an id that is not well-formed text', { id: '\ud800' }, 'id'],
      ['an indexed field that is not well-formed text', { id: '1', label: '\udc00' }, 'label'],
    ])('refuses %s', async (_, document, field) => {
      const collection = await (await stores.open()).collection(things);
      await expect(collection.insert(document)).rejects.toMatchObject({
        code: 'invalid-document',
        message: expect.stringMatching(new RegExp(`^test\\.things: ${field}: `)),
      });
    });

    it('refuses an update that changes the id, or of a document that is not there', async () => {
      const collection = await (await stores.open()).collection(things);
      await collection.insert({ id: '1' });
      await expect(collection.update('1', () => ({ document: { id: '2' } }))).rejects.toMatchObject({
        code: 'invalid-document',
        message: expect.stringContaining('id: must not change'),
      });
      await expect(collection.update('2', (document) => ({ document }))).rejects.toMatchObject({
        code: 'not-found',
      });
    });

    it('passes on what a change throws, and leaves the document as it is', async () => {
      const collection = await (await stores.open()).collection(things);
      await collection.insert({ id: '1', count: 1 });
      const refusal = new Error('no');
      await expect(
        collection.update('1', () => {
          throw refusal;
        }),
      ).rejects.toBe(refusal);
      expect(await collection.update('1', () => undefined)).toEqual({ id: '1', count: 1 });
    });

    it('counts exactly when 50 writers change one document at once', async () => {
      const collection = await (await stores.open()).collection(things);
      await collection.insert({ id: '1', count: 0 });
      await Promise.all(
        Array.from({ length: 50 }, () =>
          collection.update('1', (thing) => ({ document: { ...thing, count: (thing.count ?? 0) + 1 } })),
        ),
      );
      expect(await collection.get('1')).toEqual({ id: '1', count: 50 });
    });

    it.skipIf(!engine.tellsWritersApart)(
      'counts exactly when 50 writers of five processes change one document at once',
      async () => {
        const collections = await Promise.all(
          Array.from({ length: 5 }, async () => (await stores.open()).collection(plainThings)),
        );
        await collections[0]?.insert({ id: '1', count: 0 });
        await Promise.all(
          Array.from({ length: 50 }, (_, i) =>
            collections[i % 5]?.update('1', (thing) => ({
              document: { ...thing, count: (thing.count ?? 0) + 1 },
            })),
          ),
        );
        expect(await collections[0]?.get('1')).toEqual({ id: '1', count: 50 });
      },
    );

    it('lets one of 20 win who insert the same id from two processes', async () => {
      const first = await (await stores.open()).collection(plainThings);
      const second = await (await stores.open()).collection(plainThings);
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? first : second).insert({ id: '1', count: i })),
      );
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const result of results) {
        if (result.status === 'rejected')
          expect(result.reason).toMatchObject({ code: 'duplicate', index: 'id' });
      }
    });

    it('removes a document, and one that is not there', async () => {
      const collection = await (await stores.open()).collection(things);
      await collection.insert({ id: '1', label: 'x' });
      await collection.remove('1');
      await collection.remove('1');
      expect(await collection.get('1')).toBeUndefined();
      expect(await collection.count()).toBe(0);
      await collection.insert({ id: '1', label: 'x' });
    });

    it('removes a document that meets the condition, and leaves one that does not', async () => {
      const collection = await (await stores.open()).collection(things);
      await collection.insert({ id: '1', count: 1 }, [eventOf('1')]);
      expect(await collection.remove('1', ({ count }) => count === 2)).toBe(false);
      const refusal = new Error('no');
      const refused = collection.remove('1', () => {
        throw refusal;
      });
      await expect(refused).rejects.toBe(refusal);
      expect(await collection.get('1')).toEqual({ id: '1', count: 1 });
      expect(await collection.remove('1', unchanged({ id: '1', count: 1 }))).toBe(true);
      expect(await collection.remove('1')).toBe(false);
      expect(await collection.get('1')).toBeUndefined();
    });

    it.skipIf(!engine.tellsWritersApart)(
      'never removes what another process changed since the condition held',
      async () => {
        const first = await (await stores.open()).collection(plainThings);
        const second = await (await stores.open()).collection(plainThings);
        for (let round = 0; round < 25; round++) {
          const id = `race-${round}`;
          await first.insert({ id, count: 0 });
          const [changed, removed] = await Promise.allSettled([
            second.update(id, (thing) => ({ document: { ...thing, count: 1 } })),
            first.remove(id, ({ count }) => count === 0),
          ]);
          if (removed.status === 'rejected') throw removed.reason;
          expect(removed.value).toBe(changed.status === 'rejected');
          expect(await first.get(id)).toEqual(removed.value ? undefined : { id, count: 1 });
        }
      },
    );

    it('fails with "closed" once it is disposed', async () => {
      const store = await stores.open();
      const collection = await store.collection(things);
      await store[Symbol.asyncDispose]();
      await expect(collection.get('1')).rejects.toMatchObject({ code: 'closed' });
      await expect(collection.insert({ id: '1' })).rejects.toMatchObject({ code: 'closed' });
      await expect(store.collection(plainThings)).rejects.toMatchObject({ code: 'closed' });
    });
  });
}
