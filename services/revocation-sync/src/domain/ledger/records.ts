import { Account, DenyChange, DenyEntry, DenyKind, Time } from '@signet/contracts';
import type { Collection } from '@signet/store';
import { z } from 'zod';
import { DenyState, strongestHold } from '../denial/deny-state.ts';

/** A numbered change: what replicas are told, and the states that it left, from which the entries follow. */
export const ChangeRecord = z.object({
  id: z.string(),
  number: z.number().int().min(1),
  at: Time,
  add: z.array(DenyEntry),
  lift: DenyChange.shape.lift,
  since: DenyChange.shape.since,
  states: z.array(DenyState),
});
export type ChangeRecord = z.infer<typeof ChangeRecord>;

/** A target's state as of change `number`; it follows from the changes, and may be behind them. */
export const EntryRecord = DenyState.extend({
  /** The key. */
  id: z.string(),
  number: z.number().int().min(1),
  kind: DenyKind,
  /** Whose operators see it; absent once it is lifted. */
  account: Account.optional(),
  /** Unix seconds after which it may go; absent for never. */
  purgeAt: z.number().int().optional(),
});
export type EntryRecord = z.infer<typeof EntryRecord>;

/** `entries`: all entries have the changes up to `number`. */
export const ProgressRecord = z.object({ id: z.literal('entries'), number: z.number().int().min(0) });
export type ProgressRecord = z.infer<typeof ProgressRecord>;

export type Changes = Collection<ChangeRecord, never>;
export type Entries = Collection<EntryRecord, 'byAccount' | 'byPurge'>;
export type Progress = Collection<ProgressRecord, never>;

/** What the ledger is kept in: the changes, and what follows from them. */
export type LedgerCollections = {
  readonly changes: Changes;
  readonly entries: Entries;
  readonly progress: Progress;
};

/** A change's id: its number, padded so that ids and numbers have one order. */
export function changeId(number: number): string {
  return String(number).padStart(12, '0');
}

/** Beyond its last denial an entry is kept for a day, against events that come late. */
const KEPT_SECONDS = 86_400;

/** The entry of a state that change `number` left at `now` (Unix seconds). */
export function entryRecord(state: DenyState, number: number, now: number): EntryRecord {
  const hold = strongestHold(state, now);
  return {
    ...state,
    id: state.key,
    number,
    kind: state.target.kind,
    ...(hold === undefined ? {} : { account: hold.account }),
    ...(hold?.expiresAt === 0 ? {} : { purgeAt: (hold?.expiresAt ?? now) + KEPT_SECONDS }),
  };
}
