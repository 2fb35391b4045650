import type { Bus, Subscription } from '@signet/bus';
import {
  type DenyTarget,
  denylistChanges,
  denylistSnapshot,
  denyTargets,
  liftTargets,
  listDenied,
  OperationError,
  PLATFORM_ACCOUNT,
} from '@signet/contracts';
import { type Collection, StoreError } from '@signet/store';
import type { DenyLedger } from '../domain/deny-ledger.ts';
import { strongestHold } from '../domain/deny-state.ts';
import { type Collections, changeId, type EntryIndex, type EntryRecord } from '../domain/records.ts';

type Deps = { bus: Bus; ledger: DenyLedger; collections: Collections; now: () => number };

/** Under what operators of an account deny and lift: a lift takes away what they said, never what a revocation did. */
const causeOf = (account: string) => `operators of ${account}`;
/** Entries in one answer of changes, about. */
const ENTRIES_IN_ANSWER = 2000;

/** The deny list to its replicas. */
export async function serveReplicas({ bus, ledger, collections }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(denylistSnapshot, async ({ cursor }) => {
      const page = ledger.snapshot(cursor);
      if (page === undefined)
        throw new OperationError('invalid-input', 'cursor: none of a snapshot', { field: 'cursor' });
      return page;
    }),
    await bus.serve(denylistChanges, ({ from, to }) =>
      answering(async () => {
        const { items } = await collections.changes.find({
          from: changeId(from),
          to: changeId(to + 1),
          limit: 1000,
        });
        let entries = 0;
        const fits = items.filter((change, index) => {
          entries += change.add.length + change.lift.length;
          return index === 0 || entries <= ENTRIES_IN_ANSWER;
        });
        return { changes: fits.map(({ number, add, lift }) => ({ number, add, lift })) };
      }),
    ),
  ];
}

/** What operators deny, lift and list. */
export async function serveOperators({ bus, ledger, collections, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(denyTargets, async ({ account, targets, reason, expiresAt = 0, by }) => {
      targets.forEach((target, index) => {
        checkTarget(account, target, index);
      });
      const hold = {
        cause: causeOf(account),
        source: `operator ${by}`,
        account,
        reason,
        expiresAt,
        since: new Date(now()).toISOString(),
      };
      return answering(async () => ({
        number: await ledger.append(targets.map((target) => ({ do: 'deny', target, hold }))),
      }));
    }),
    await bus.serve(liftTargets, async ({ account, targets }) => {
      targets.forEach((target, index) => {
        checkTarget(account, target, index);
      });
      return answering(async () => ({
        number: await ledger.append(
          targets.map((target) => ({ do: 'lift' as const, target, cause: causeOf(account) })),
        ),
      }));
    }),
    await bus.serve(listDenied, ({ account, kind, cursor, limit }) =>
      answering(() => list(collections.entries, { account, kind, cursor, limit }, Math.floor(now() / 1000))),
    ),
  ];
}

async function list(
  entries: Collection<EntryRecord, EntryIndex>,
  query: {
    account: string;
    kind: EntryRecord['kind'] | undefined;
    cursor: string | undefined;
    limit: number;
  },
  now: number,
) {
  const { account, kind, cursor, limit } = query;
  const page = await entries.find({
    index: 'byAccount',
    equals: kind === undefined ? { account } : { account, kind },
    limit,
    ...(cursor === undefined ? {} : { cursor }),
  });
  const items = page.items.flatMap((entry) => {
    const own = entry.holds.filter((hold) => hold.account === account);
    const hold = strongestHold({ holds: own }, now);
    if (hold === undefined) return [];
    const { reason, source, since, expiresAt } = hold;
    return [{ key: entry.key, kind: entry.kind, target: entry.target, reason, source, since, expiresAt }];
  });
  return { items, ...(page.next === undefined ? {} : { next: page.next }) };
}

/** Whole CAs are the platform's to deny, and a device is its own account's. */
function checkTarget(account: string, target: DenyTarget, index: number): void {
  if (account === PLATFORM_ACCOUNT) return;
  const refuse = (field: string, why: string) => {
    throw new OperationError('invalid-input', `${field}: ${why}`, { field });
  };
  if (target.kind === 'ca') refuse(`targets.${index}.kind`, 'only the platform denies a whole CA');
  if (target.kind === 'device' && target.account !== account)
    refuse(`targets.${index}.account`, `not the account "${account}" that asks`);
}

/** The store's own trouble, as callers know it. */
async function answering<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.code === 'invalid-query')
      throw new OperationError('invalid-input', `cursor: ${error.message}`, {
        field: 'cursor',
        cause: error,
      });
    if (error.code === 'unavailable' || error.code === 'closed')
      throw new OperationError('unavailable', `store: ${error.message}`, { cause: error });
    throw error;
  }
}
