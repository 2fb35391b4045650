import { randomUUID } from 'node:crypto';
import { openStore, type Store } from '@signet/store';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BudgetCounter, budgetFates, budgetUses } from '../src/domain/budget/count-budget.ts';

const mongo = requireServer('mongo');
const REPLICAS = 3;

describe.skipIf(mongo === '')('a budget over a server that speaks MongoDB’s protocol', () => {
  const stack = new AsyncDisposableStack();
  let counters: BudgetCounter[];

  beforeAll(async () => {
    const url = new URL(mongo);
    url.pathname = `/budget-${randomUUID().slice(0, 8)}`;
    const stores: Store[] = [];
    for (let i = 0; i < REPLICAS; i++)
      stores.push(stack.use(await openStore({ url: url.href, publish: async () => {} })));
    counters = await Promise.all(
      stores.map(
        async (store) =>
          new BudgetCounter({
            uses: await store.collection(budgetUses),
            fates: await store.collection(budgetFates),
            now: Date.now,
          }),
      ),
    );
  });
  afterAll(() => stack.disposeAsync());

  const token = () => randomUUID().replaceAll('-', '').slice(0, 16);

  test('F87: replicas that race for it give as many places as there are, each item one', async () => {
    const id = token();
    const asked = Array.from({ length: 12 }, (_, i) =>
      Array.from({ length: 8 }, (_, k) => `acme/SN-${(i * 3 + k) % 40}`),
    );
    const places = await Promise.all(
      asked.map((items, i) => counters[i % REPLICAS]?.take(id, 25, items) ?? expect.unreachable()),
    );
    const given = new Map<string, string>();
    places.forEach((row, i) => {
      row.forEach((place, k) => {
        const item = asked[i]?.[k] ?? '';
        if (place === undefined) return;
        expect(given.get(item) ?? place.use).toBe(place.use);
        given.set(item, place.use);
      });
    });
    expect(given.size).toBe(25);
    expect(new Set(given.values()).size).toBe(25);
    expect(await counters[0]?.used(id)).toBe(25);
  });

  test('F87: what is given back by one replica is taken by another, and the count stays exact', async () => {
    const id = token();
    const [first, second] = [counters[0] ?? expect.unreachable(), counters[1] ?? expect.unreachable()];
    for (let round = 0; round < 5; round++) {
      const [a, b] = await first.take(id, 2, [`acme/A-${round}`, 'acme/kept']);
      expect([a, b].every((place) => place !== undefined)).toBe(true);
      expect(await second.take(id, 2, ['acme/third'])).toEqual([undefined]);
      if (a !== undefined) await second.giveBack(id, a);
      expect(await first.used(id)).toBe(1);
    }
    expect((await second.take(id, 2, ['acme/third', 'acme/fourth'])).filter(Boolean)).toHaveLength(1);
    expect(await first.used(id)).toBe(2);
  });

  test('F87: a place that two asked for is not given back by the one that failed', async () => {
    const id = token();
    const [first, second] = [counters[0] ?? expect.unreachable(), counters[1] ?? expect.unreachable()];
    const [own] = await first.take(id, 1, ['acme/A']);
    const [shared] = await second.take(id, 1, ['acme/A']);
    expect(own).toMatchObject({ own: true });
    expect(shared).toEqual({ use: own?.use, own: false });
    if (own !== undefined) await first.giveBack(id, own);
    expect(await second.used(id)).toBe(1);
    expect(await second.take(id, 1, ['acme/B'])).toEqual([undefined]);
  });
});
