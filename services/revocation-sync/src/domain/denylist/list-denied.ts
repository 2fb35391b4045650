import {
  type DenyTarget,
  type listDenied as ListDenied,
  type OperationOutput,
  type ParsedInput,
  PLATFORM_ACCOUNT,
} from '@signet/contracts';
import { denyKey } from '@signet/denylist';
import { type Hold, strongestHold } from '../denial/deny-state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Entries, EntryRecord } from '../ledger/records.ts';

type Listed = OperationOutput<typeof ListDenied>;
type Item = Listed['items'][number];

/** Entries looked at for one answer where a text is searched for. */
const LOOKED_AT = 10_000;
const PAGE = 1000;

/** What an account's operators see of the deny list; those of the platform see all. */
export async function listDenied(
  ctx: { readonly ledger: Ledger; readonly entries: Entries; readonly now: () => number },
  { cursor: from, ...asked }: ParsedInput<typeof ListDenied>,
): Promise<Listed> {
  const { account, kind, target, text, limit } = asked;
  const { ledger, entries } = ctx;
  await ledger.settled();
  const now = Math.floor(ctx.now() / 1000);
  if (target !== undefined) {
    const entry = await entries.get(denyKey(target));
    return { items: entry === undefined ? [] : shown(entry, account, now) };
  }
  const items: Item[] = [];
  let cursor = from;
  for (let lookedAt = 0; ; ) {
    const page = await entries.find({
      ...where(account, kind),
      limit: text === undefined ? limit : Math.min(PAGE, limit - items.length),
      ...(cursor === undefined ? {} : { cursor }),
    });
    lookedAt += page.items.length;
    cursor = page.next;
    for (const entry of page.items) {
      if (kind !== undefined && entry.kind !== kind) continue;
      items.push(...shown(entry, account, now).filter((item) => text === undefined || has(item, text)));
    }
    const isEnough = text === undefined || items.length >= limit || lookedAt >= LOOKED_AT;
    if (cursor === undefined) return { items };
    if (isEnough) return { items, next: cursor };
  }
}

function where(account: string, kind: EntryRecord['kind'] | undefined) {
  if (account === PLATFORM_ACCOUNT) return {};
  return { index: 'byAccount' as const, equals: kind === undefined ? { account } : { account, kind } };
}

function shown(entry: EntryRecord, account: string, now: number): Item[] {
  const hold = strongestHold({ holds: entry.holds.filter((hold) => isVisible(entry, hold, account)) }, now);
  if (hold === undefined) return [];
  const { reason, source, since, expiresAt } = hold;
  return [{ key: entry.key, kind: entry.kind, target: entry.target, reason, source, since, expiresAt }];
}

function isVisible({ target }: EntryRecord, hold: Hold, account: string): boolean {
  if (account === PLATFORM_ACCOUNT || hold.account === account) return true;
  return target.kind === 'device' && target.account === account;
}

function has({ target, reason, source }: Item, text: string): boolean {
  const wanted = text.toLowerCase();
  return [...namesOf(target), reason, source].some((name) => name.toLowerCase().includes(wanted));
}

function namesOf({ kind: _, ...names }: DenyTarget): string[] {
  return Object.values(names).filter((name) => name !== undefined);
}
