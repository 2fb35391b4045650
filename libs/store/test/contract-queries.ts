import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Collection, Page, Query } from '../src/index.ts';
import type { EngineUnderTest, Stores } from './contract.ts';
import { plainThings, type Thing, things } from './things.ts';

type Plain = Collection<Thing, 'label' | 'size'>;

async function idsOf(collection: Plain, query: Query<Thing, 'label' | 'size'>): Promise<string[]> {
  const ids: string[] = [];
  let page: Page<Thing> = await collection.find(query);
  ids.push(...page.items.map(({ id }) => id));
  while (page.next !== undefined) {
    page = await collection.find({ ...query, cursor: page.next });
    ids.push(...page.items.map(({ id }) => id));
  }
  return ids;
}

function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Finding by id and by index; pages. */
export function describeQueries(stores: Stores, engine: EngineUnderTest): void {
  const open = async (documents: readonly Thing[]): Promise<Plain> => {
    const collection = await (await stores.open()).collection(plainThings);
    await Promise.all(documents.map((document) => collection.insert(document)));
    return collection;
  };

  describe('queries', () => {
    it('orders strings by code point and finds them by prefix and range', async () => {
      const labels = [
        '',
        'a',
        'a\u0000',
        'a\u0001',
        'a\u0002b',
        'ab',
        'b',
        'Z',
        'é',
        '\uffff',
        '\u{10ffff}',
        '\u{1f511}x',
      ];
      const collection = await open(labels.map((label, i) => ({ id: `${i}`, label })));
      const found = async (query: Query<Thing, 'label'>) =>
        (await collection.find({ index: 'label', ...query })).items.map(({ label }) => label);
      const sorted = labels.toSorted(byCodePoint);
      expect(await found({})).toEqual(sorted);
      expect(await found({ descending: true })).toEqual(sorted.toReversed());
      expect(await found({ prefix: 'a' })).toEqual(sorted.filter((label) => label.startsWith('a')));
      expect(await found({ prefix: '\u{10ffff}' })).toEqual(['\u{10ffff}']);
      expect(await found({ prefix: '\uffff' })).toEqual(['\uffff']);
      expect(await found({ from: 'a', to: 'ab' })).toEqual(['a', 'a\u0000', 'a\u0001', 'a\u0002b']);
      expect(await found({ from: 'é' })).toEqual(['é', '\uffff', '\u{1f511}x', '\u{10ffff}']);
      expect(await found({ to: 'a', descending: true })).toEqual(['Z', '']);
      expect(await found({ equals: { label: 'a' } })).toEqual(['a']);
    });

    it('orders numbers by size', async () => {
      const sizes = [0, -0.1, 1e300, -1e300, 2 ** 53, -1, 5e-324, 10, 9, -2];
      const collection = await open(sizes.map((size, i) => ({ id: `${i}`, account: 'a', size })));
      await collection.insert({ id: 'other', account: 'b', size: 0 });
      const found = async (query: Query<Thing, 'size'>) =>
        (await collection.find({ index: 'size', equals: { account: 'a' }, ...query })).items.map(
          ({ size }) => size,
        );
      const sorted = sizes.toSorted((a, b) => a - b);
      expect(await found({})).toEqual(sorted);
      expect(await found({ descending: true })).toEqual(sorted.toReversed());
      expect(await found({ from: -1, to: 10 })).toEqual([-1, -0.1, 0, 5e-324, 9]);
      expect(await found({ to: 0 })).toEqual([-1e300, -2, -1, -0.1]);
      expect(await collection.count({ index: 'size', equals: { account: 'a' }, from: 10 })).toBe(3);
      expect(await collection.count({ index: 'size', equals: { account: 'a', size: 0 } })).toBe(1);
    });

    it('finds by a boolean field', async () => {
      const collection = await (await stores.open()).collection(things);
      await collection.insert({ id: '1', armed: true, account: 'a', label: 'x' });
      await collection.insert({ id: '2', armed: false, account: 'a', label: 'y' });
      const page = await collection.find({ index: 'armed', equals: { armed: true } });
      expect(page.items.map(({ id }) => id)).toEqual(['1']);
    });

    it('finds by id, by its prefix and range', async () => {
      const collection = await open(['a/1', 'a/2', 'b/1', 'b/10', 'c'].map((id) => ({ id })));
      expect(await idsOf(collection, {})).toEqual(['a/1', 'a/2', 'b/1', 'b/10', 'c']);
      expect(await idsOf(collection, { prefix: 'b/' })).toEqual(['b/1', 'b/10']);
      expect(await idsOf(collection, { equals: { id: 'b/1' } })).toEqual(['b/1']);
      expect(await idsOf(collection, { from: 'a/2', to: 'c', descending: true })).toEqual([
        'b/10',
        'b/1',
        'a/2',
      ]);
    });

    it('answers as a list of all documents would', { timeout: 60_000 }, async () => {
      const value = fc.constantFrom('', 'a', 'aa', 'ab', 'b', '\u{1f511}', '\uff61');
      const documents = fc.uniqueArray(
        fc.record({
          id: fc.uuid(),
          label: value,
          account: value,
          size: fc.double({ noNaN: true, noDefaultInfinity: true }),
        }),
        { maxLength: 25, selector: ({ id }) => id },
      );
      const collection = await open([]);
      await fc.assert(
        fc.asyncProperty(
          documents,
          value,
          fc.boolean(),
          fc.integer({ min: 1, max: 7 }),
          async (all, bound, descending, limit) => {
            await Promise.all(all.map((document) => collection.insert(document)));
            const expected = (keep: (thing: Thing) => boolean) => {
              const kept = all
                .filter(keep)
                .sort((a, b) => byCodePoint(a.label, b.label) || byCodePoint(a.id, b.id));
              return (descending ? kept.reverse() : kept).map(({ id }) => id);
            };
            const ids = (query: Query<Thing, 'label' | 'size'>) =>
              idsOf(collection, { index: 'label', descending, limit, ...query });
            expect(await ids({})).toEqual(expected(() => true));
            expect(await ids({ prefix: bound })).toEqual(
              expected(({ label = '' }) => label.startsWith(bound)),
            );
            expect(await ids({ from: bound })).toEqual(
              expected(({ label = '' }) => byCodePoint(label, bound) >= 0),
            );
            expect(await ids({ to: bound })).toEqual(
              expected(({ label = '' }) => byCodePoint(label, bound) < 0),
            );
            expect(await ids({ equals: { label: bound } })).toEqual(expected(({ label }) => label === bound));
            await Promise.all(all.map(({ id }) => collection.remove(id)));
          },
        ),
        { numRuns: engine.runs },
      );
    });

    it('turns pages without missing or repeating what was there, while documents come and go', async () => {
      const collection = await open(
        Array.from({ length: 90 }, (_, i) => ({ id: `${i}`, account: 'a', size: Math.floor(i / 3) })),
      );
      const seen: string[] = [];
      let cursor: string | undefined;
      let turn = 0;
      do {
        const page: Page<Thing> = await collection.find({
          index: 'size',
          equals: { account: 'a' },
          limit: 10,
          ...(cursor === undefined ? {} : { cursor }),
        });
        seen.push(...page.items.map(({ id }) => id));
        cursor = page.next;
        turn += 1;
        await collection.insert({ id: `before-${turn}`, account: 'a', size: -turn });
        await collection.insert({ id: `after-${turn}`, account: 'b', size: turn });
        await collection.remove(page.items.at(-1)?.id ?? '');
      } while (cursor !== undefined);
      expect(seen).toHaveLength(90);
      expect(new Set(seen).size).toBe(90);
      expect(turn).toBe(9);
    });

    it.each<[string, object, string]>([
      ['an index that is not declared', { index: 'colour' }, 'index'],
      ['a field that is not the leading one', { index: 'size', equals: { size: 1 } }, 'equals.size'],
      ['a field that is undefined', { index: 'size', equals: { account: undefined } }, 'equals.account'],
      ['a field by an object', { index: 'size', equals: { account: { $gt: '' } } }, 'equals.account'],
      ['any field but the id where there is no index', { equals: { account: 'a' } }, 'equals.account'],
      ['prefix beside from', { index: 'label', prefix: 'a', from: 'b' }, 'prefix'],
      ['from and to of different types', { index: 'label', from: 'a', to: 1 }, 'from'],
      ['a range after all fields', { index: 'label', equals: { label: 'a' }, from: 'b' }, 'equals'],
      ['from that is not finite', { index: 'label', from: Number.NaN }, 'from'],
      ['a limit of 0', { limit: 0 }, 'limit'],
      ['a limit of 1001', { limit: 1001 }, 'limit'],
      ['a limit of 1.5', { limit: 1.5 }, 'limit'],
    ])('refuses %s', async (_, query, field) => {
      const collection = await (await stores.open()).collection(plainThings);
      await expect(collection.find(query)).rejects.toMatchObject({
        code: 'invalid-query',
        message: expect.stringMatching(new RegExp(`^${field}: `)),
      });
    });

    it('refuses a cursor that is none', async () => {
      const collection = await (await stores.open()).collection(plainThings);
      await expect(collection.find({ cursor: '!' })).rejects.toMatchObject({ code: 'wrong-cursor' });
    });

    it('refuses the cursor of another account', async () => {
      const collection = await open(
        ['a', 'b'].flatMap((account) => [1, 2].map((size) => ({ id: `${account}${size}`, account, size }))),
      );
      const { next = '' } = await collection.find({ index: 'size', equals: { account: 'a' }, limit: 1 });
      await expect(
        collection.find({ index: 'size', equals: { account: 'b' }, cursor: next }),
      ).rejects.toMatchObject({ code: 'wrong-cursor', message: 'cursor: is not one of this query' });
    });
  });
}
