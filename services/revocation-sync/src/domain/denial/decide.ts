import type { DenyChange, DenyEntry } from '@signet/contracts';
import { applyIntent, type DenyState, entryOf, freshState, type KeyedIntent } from './deny-state.ts';

/** What intents come to: the states that change, and what replicas of the list are told. */
export type Decision = {
  readonly states: readonly DenyState[];
  readonly add: DenyChange['add'];
  readonly lift: DenyChange['lift'];
  /** When the earliest of what is denied was asked for. */
  readonly since?: string;
};

/**
 * Applies intents in their order. `before` gives the states of their targets as of the last change, by key; `now` is in
 * Unix seconds.
 * @returns undefined if nothing changes
 */
export function decide(
  intents: readonly KeyedIntent[],
  before: ReadonlyMap<string, DenyState>,
  now: number,
): Decision | undefined {
  const after = new Map<string, DenyState>();
  for (const intent of intents) {
    const state = after.get(intent.key) ?? before.get(intent.key) ?? freshState(intent);
    after.set(intent.key, applyIntent(state, intent));
  }
  const changed = [...after.values()].filter((state) => isChanged(before.get(state.key), state));
  if (changed.length === 0) return undefined;
  const add: DenyEntry[] = [];
  const lift: string[] = [];
  for (const state of changed) {
    const old = before.get(state.key);
    const was = old === undefined ? undefined : entryOf(old, now);
    const is = entryOf(state, now);
    if (is !== undefined && (was?.expiresAt !== is.expiresAt || was.reason !== is.reason)) add.push(is);
    if (is === undefined && was !== undefined) lift.push(state.key);
  }
  const [since] = intents
    .flatMap((intent) => (intent.do === 'deny' ? [intent.hold.since] : []))
    .toSorted((a, b) => Date.parse(a) - Date.parse(b));
  return { states: changed, add, lift, ...(since === undefined ? {} : { since }) };
}

function isChanged(before: DenyState | undefined, after: DenyState): boolean {
  if (before !== undefined) return after !== before;
  return after.holds.length > 0 || Object.keys(after.lifted).length > 0;
}
