import type { DenyTarget } from '@signet/contracts';
import { describe, expect, it } from 'vitest';
import { decide } from './decide.ts';
import type { DenyState, Hold, KeyedIntent } from './deny-state.ts';

const NOW = 1_800_000_000;
const key = 'ab'.repeat(16);
const target: DenyTarget = { kind: 'device', account: 'acme', deviceId: 'dev-1' };

const hold = (cause: string, more: Partial<Hold> = {}): Hold => ({
  ...{ cause, source: cause, account: 'acme', reason: `for ${cause}`, since: '2027-01-01T00:00:00.000Z' },
  expiresAt: 0,
  ...more,
});
const deny = (cause: string, more: Partial<Hold> = {}): KeyedIntent => ({
  ...{ do: 'deny', key, target },
  hold: hold(cause, more),
});
const lift = (cause: string, sequence?: number): KeyedIntent => ({
  do: 'lift',
  key,
  target,
  cause,
  sequence,
});
const state = (holds: Hold[], lifted: Record<string, number> = {}) =>
  new Map<string, DenyState>([[key, { key, target, holds, lifted }]]);

describe('what intents come to', () => {
  it('is a denial where nothing was denied', () => {
    expect(decide([deny('a')], new Map(), NOW)).toMatchObject({
      add: [{ key, kind: 'device', reason: 'for a', expiresAt: 0 }],
      lift: [],
    });
  });

  it('is nothing where it is so already', () => {
    expect(decide([deny('a')], state([hold('a')]), NOW)).toBeUndefined();
    expect(decide([lift('a')], new Map(), NOW)).toBeUndefined();
    expect(decide([lift('a', 4)], state([], { a: 4 }), NOW)).toBeUndefined();
    const again = { since: '2027-02-02T00:00:00.000Z' };
    expect(decide([deny('a', again)], state([hold('a')]), NOW)).toBeUndefined();
  });

  it('is lifted only when the last cause is gone', () => {
    const both = state([hold('a'), hold('b')]);
    expect(decide([lift('a')], both, NOW)).toMatchObject({ add: [{ reason: 'for b' }], lift: [] });
    expect(decide([lift('a'), lift('b')], both, NOW)).toMatchObject({ add: [], lift: [key] });
  });

  it('expires with the cause that lasts longest', () => {
    const before = state([hold('a', { expiresAt: NOW + 10 })]);
    expect(decide([deny('b', { expiresAt: NOW + 5 })], before, NOW)).toMatchObject({ add: [], lift: [] });
    expect(decide([deny('b', { expiresAt: NOW + 20 })], before, NOW)).toMatchObject({
      add: [{ expiresAt: NOW + 20 }],
    });
    const never = state([hold('a', { expiresAt: NOW + 10 }), hold('b')]);
    expect(decide([lift('b')], never, NOW)).toMatchObject({ add: [{ expiresAt: NOW + 10 }], lift: [] });
  });

  it('denies anew what had expired', () => {
    const before = state([hold('a', { expiresAt: NOW })]);
    expect(decide([deny('a', { expiresAt: NOW + 9 })], before, NOW)).toMatchObject({
      add: [{ expiresAt: NOW + 9 }],
    });
  });

  it('takes intents in their order', () => {
    expect(decide([deny('a'), lift('a')], new Map(), NOW)).toBeUndefined();
    expect(decide([lift('a'), deny('a')], state([hold('a')]), NOW)?.lift ?? []).toEqual([]);
  });

  it('keeps the later of two events of one document, in whatever order they come', () => {
    const blocked = deny('a', { sequence: 3 });
    const blockedAgain = deny('a', { sequence: 5, reason: 'again' });
    const unblocked = lift('a', 4);
    const orders = [
      [blocked, unblocked, blockedAgain],
      [unblocked, blocked, blockedAgain],
      [blockedAgain, blocked, unblocked],
      [blockedAgain, unblocked, blocked],
    ];
    for (const order of orders)
      expect(decide(order, new Map(), NOW)).toMatchObject({ add: [{ reason: 'again' }], lift: [] });
    const ended = decide([unblocked, blocked], new Map(), NOW);
    expect(ended).toMatchObject({ add: [], lift: [], states: [{ holds: [], lifted: { a: 4 } }] });
  });
});
