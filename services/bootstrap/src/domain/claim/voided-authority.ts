import { Account, AuthorityState, type SignetEvent, Time } from '@signet/contracts';
import type { Change, Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';
import { type AccountRecords, settingsOf } from '../account/account-settings.ts';
import type { DeviceRecord } from '../device/device-record.ts';
import type { Devices } from '../device/find-device.ts';
import { block, withdrawBlock } from '../device/transitions.ts';

/** A factory CA that was put out of force at some time, as its last event said; its id is that of the CA. */
export const VoidedAuthority = z.object({
  id: z.string(),
  account: Account,
  state: AuthorityState,
  reason: z.string(),
  /** Of the last event that was applied. */
  sequence: z.number(),
  at: Time,
  /** How far its devices have been told; absent: all of them. */
  progress: z.object({ since: z.number(), cursor: z.string().optional() }).optional(),
  /** When there is something to do, Unix ms. */
  dueAt: z.number().optional(),
});
export type VoidedAuthority = z.infer<typeof VoidedAuthority>;

export const voidedAuthorities = {
  name: 'bootstrap.voided-authorities',
  schema: VoidedAuthority,
  indexes: { byDue: { fields: ['dueAt'] } },
} as const satisfies CollectionSpec<VoidedAuthority>;
export type VoidedAuthorities = Collection<VoidedAuthority, keyof typeof voidedAuthorities.indexes>;

/** What an event makes of it; a late one makes nothing. */
export function noted(event: SignetEvent<'CA_CHANGED'>, now: number): VoidedAuthority {
  const { authorityId, state, reason } = event.data;
  return {
    id: authorityId,
    account: event.account,
    state,
    reason: reason ?? `factory CA "${authorityId}" is ${state}`,
    sequence: event.sequence ?? 0,
    at: event.time,
    progress: { since: now },
    dueAt: now,
  };
}

/** After a page: where the next begins, or the end. A change of the CA meanwhile begins anew. */
export function advanced(
  current: VoidedAuthority,
  page: { readonly of: VoidedAuthority; readonly next: string | undefined },
): Change<VoidedAuthority> | undefined {
  if (current.sequence !== page.of.sequence || current.progress === undefined) return undefined;
  const { progress, dueAt, ...rest } = current;
  if (page.next === undefined) return { document: rest };
  return { document: { ...rest, dueAt, progress: { ...progress, cursor: page.next } } };
}

const PAGE = 500;
const CONCURRENCY = 64;

/**
 * Blocks a page of the devices that came from a factory CA which is out of force, the onboarded ones too unless their
 * account says otherwise, each with its own event; or lifts that once the CA is back (F62).
 * @returns where the next page begins
 */
export async function tellPage(
  deps: {
    readonly devices: Pick<Devices, 'find' | 'update'>;
    readonly accounts: Pick<AccountRecords, 'get'>;
    readonly now: () => number;
  },
  authority: VoidedAuthority,
): Promise<string | undefined> {
  const cursor = authority.progress?.cursor;
  const page = await deps.devices.find({
    index: 'byCertificate',
    equals: { authorityId: authority.id },
    limit: PAGE,
    ...(cursor === undefined ? {} : { cursor }),
  });
  const allowed = new Map<string, Promise<boolean>>();
  const deniesOnboarded = (account: string): Promise<boolean> => {
    const known = allowed.get(account);
    if (known !== undefined) return known;
    const asked = settingsOf(deps.accounts, account).then(
      ({ voidedFactoryCaDenies }) => voidedFactoryCaDenies,
    );
    allowed.set(account, asked);
    return asked;
  };
  const tell = async (record: DeviceRecord): Promise<void> => {
    const shutsOut = !isOnboarded(record) || (await deniesOnboarded(record.account ?? record.factoryAccount));
    await deps.devices.update(record.id, (current) => stepOf(current, authority, shutsOut, deps.now()));
  };
  for (let start = 0; start < page.items.length; start += CONCURRENCY)
    await Promise.all(page.items.slice(start, start + CONCURRENCY).map(tell));
  return page.next;
}

function isOnboarded({ state }: DeviceRecord): boolean {
  return state === 'bootstrapped' || state === 'enrolled' || state === 'active';
}

function stepOf(
  current: DeviceRecord,
  { id, state, reason }: VoidedAuthority,
  shutsOut: boolean,
  now: number,
): Change<DeviceRecord> | undefined {
  const cause = `factory-ca ${id}`;
  const by = 'bootstrap';
  if (state === 'active') return withdrawBlock(current, { cause, by, now });
  if (!shutsOut || current.state === 'retired') return undefined;
  return block(current, { reason, by, now, cause });
}
