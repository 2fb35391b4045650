import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { CollectionSpec, Migration, Store, Stored } from '../src/index.ts';
import type { EngineUnderTest, Stores } from './contract.ts';
import { eventOf, TestBus } from './things.ts';

const Old = z.object({ id: z.string(), owner: z.string().optional(), size: z.number().optional() });
const New = z.strictObject({
  id: z.string(),
  owners: z.array(z.string()),
  first: z.string(),
  size: z.number(),
});

/** A collection as a release wrote it, and as later ones have it. */
const before = { name: 'test.moved', schema: Old, indexes: {} } as const satisfies CollectionSpec<
  z.infer<typeof Old>
>;

const ownersBecomeMany: Migration = {
  name: 'owners-become-many',
  document: ({ owner, ...rest }) =>
    owner === undefined ? undefined : ({ ...rest, owners: [owner], first: owner } as Stored),
};

const everyThingHasASize: Migration = {
  name: 'every-thing-has-a-size',
  document: (thing) => ('size' in thing ? undefined : ({ ...thing, size: 0 } as Stored)),
};

const after = {
  name: 'test.moved',
  schema: New,
  indexes: { first: { fields: ['first'] } },
  migrations: [ownersBecomeMany, everyThingHasASize],
} as const satisfies CollectionSpec<z.infer<typeof New>>;

/** Data of an earlier release, opened by a later one, and the other way round. */
export function describeMigrations(stores: Stores, { many }: EngineUnderTest): void {
  describe('data of another release', () => {
    const write = async (count: number): Promise<Store> => {
      const store = await stores.open();
      const collection = await store.collection(before);
      const ids = Array.from({ length: count }, (_, i) => `thing-${String(i).padStart(4, '0')}`);
      await Promise.all(ids.map((id, i) => collection.insert({ id, owner: `o${i % 7}`, size: i })));
      return store;
    };

    it('is brought up step by step before anybody reads it, indexes that came with the step among it', async () => {
      await using old = await stores.open();
      await (await old.collection(before)).insert({ id: '1', owner: 'ann' });
      const collection = await (await stores.open()).collection(after);
      const migrated = { id: '1', owners: ['ann'], first: 'ann', size: 0 };
      expect(await collection.get('1')).toEqual(migrated);
      expect((await collection.find({ index: 'first', equals: { first: 'ann' } })).items).toEqual([migrated]);
    });

    it('keeps the events that waited in its outbox', async () => {
      const away = new TestBus();
      away.hold();
      const old = await stores.open({ publish: away.publish });
      const event = eventOf('1');
      await (await old.collection(before)).insert({ id: '1', owner: 'ann' }, [event]);
      const bus = new TestBus();
      await (await stores.open({ publish: bus.publish, sweepMs: 50 })).collection(after);
      await expect.poll(() => bus.ids(), { timeout: 10_000 }).toContain(event.id);
      away.release();
    });

    it('goes through each step once: what a later release wrote is not touched at the next start', async () => {
      await write(3);
      let calls = 0;
      const counted = (migration: Migration): Migration => ({
        name: migration.name,
        document: (thing) => {
          calls += 1;
          return migration.document(thing);
        },
      });
      const spec = { ...after, migrations: [counted(ownersBecomeMany), counted(everyThingHasASize)] };
      await (await stores.open()).collection(spec);
      expect(calls).toBeGreaterThan(0);
      calls = 0;
      await (await stores.open()).collection(spec);
      expect(calls).toBe(0);
    });

    it('is brought up once where several replicas start at the same time', { timeout: 60_000 }, async () => {
      await write(many);
      const replicas = await Promise.all(Array.from({ length: 4 }, () => stores.open()));
      const collections = await Promise.all(replicas.map((store) => store.collection(after)));
      for (const collection of collections) {
        const { items } = await collection.find({ limit: 1000 });
        expect(items.length).toBe(many);
        expect(items.filter((thing) => !New.safeParse(thing).success)).toEqual([]);
      }
      await collections[0]?.insert({ id: 'new', owners: [], first: '', size: 1 });
      expect(await collections[1]?.get('new')).toEqual({ id: 'new', owners: [], first: '', size: 1 });
    });

    it('of a later release is refused in one line that says what to do, and left as it is', async () => {
      await (await stores.open()).collection(after);
      const store = await stores.open();
      const { migrations, ...olderSpec } = after;
      for (const older of [olderSpec, { ...after, migrations: [ownersBecomeMany] }]) {
        const line =
          /^store: test\.moved was written by a newer Signet \(its schema step \d, "[a-z-]+", is not known here\): start that release or a later one, or restore a backup of before$/;
        await expect(store.collection(older)).rejects.toMatchObject({
          code: 'newer-schema',
          message: expect.stringMatching(line),
        });
        expect(store.failure()).toMatch(/newer Signet/);
      }
      const collection = await (await stores.open()).collection(after);
      expect((await collection.find()).items).toEqual([]);
    });

    it('is refused where a step does not fit: one that changes its own result, or makes what the schema refuses', async () => {
      await write(1);
      const grows: Migration = {
        name: 'grows',
        document: (thing) => ({ ...thing, size: Number(thing.size) + 1 }) as Stored,
      };
      const breaks: Migration = { name: 'breaks', document: (thing) => ({ ...thing, size: 'x' }) as Stored };
      const store = await stores.open();
      const open = (migration: Migration) => store.collection({ ...before, migrations: [migration] });
      await expect(open(grows)).rejects.toThrow(/must keep the id, and leave alone what it made \(grows\)/);
      await expect(open(breaks)).rejects.toMatchObject({ code: 'invalid-document' });
      const collection = await (await stores.open()).collection(after);
      expect(await collection.count()).toBe(1);
    });
  });
}
