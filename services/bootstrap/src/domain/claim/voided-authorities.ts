import type { SignetEvent } from '@signet/contracts';
import { type Change, isDuplicate } from '@signet/store';
import type { DeviceRecord, VoidedAuthorities, VoidedAuthority } from '../../collections.ts';
import type { Context } from '../../context.ts';
import { settingsOf } from '../account/account-settings.ts';
import { rulerOf } from '../device/find-device.ts';
import { block, withdrawBlock } from '../device/transitions.ts';
import { type FactoryPin, voidingPin } from '../factory/factory-pins.ts';

/** What an event makes of it; a late one makes nothing. */
export function voidedByEvent(event: SignetEvent<'CA_CHANGED'>, now: number): VoidedAuthority {
  const { authorityId, state, reason, accountDeleted } = event.data;
  return {
    id: authorityId,
    account: event.account,
    state,
    reason: reason ?? `factory CA "${authorityId}" is ${state}`,
    ...(accountDeleted === undefined ? {} : { accountDeleted }),
    ...(accountDeleted === undefined ? {} : { accountDeleted }),
    sequence: event.sequence ?? 0,
    at: event.time,
    progress: { since: now },
    dueAt: now,
  };
}

/** Where a page begins: devices are on record by any of the pins of their CA. */
export type NextPage = { readonly of: string; readonly cursor?: string };

/** After a page: where the next begins, or the end. If the CA changed meanwhile, all pages are read again. */
export function nextProgress(
  current: VoidedAuthority,
  page: { readonly of: VoidedAuthority; readonly next: NextPage | undefined },
): Change<VoidedAuthority> | undefined {
  if (current.sequence !== page.of.sequence || current.progress === undefined) return undefined;
  const { progress, dueAt, ...rest } = current;
  if (page.next === undefined) return { document: rest };
  return { document: { ...rest, dueAt, progress: { since: progress.since, ...page.next } } };
}

const PAGE = 500;

const CONCURRENCY = 64;

/**
 * Blocks a page of the devices that came from a factory CA which is out of force, the onboarded ones too unless their
 * account says otherwise, each with its own event; or lifts that once the CA is back (F62).
 * @returns where the next page begins
 */
export async function applyToPage(
  ctx: Pick<Context, 'devices' | 'accounts' | 'factories' | 'now'>,
  authority: VoidedAuthority,
): Promise<NextPage | undefined> {
  // what the event said of this pin is newer than what is pinned here, or older and overtaken by its own event
  const pins = ctx.factories
    .siblings(authority.id)
    .map((pin) => (pin.authorityId === authority.id ? { ...pin, state: authority.state } : pin));
  const ids = [...new Set([authority.id, ...pins.map(({ authorityId }) => authorityId)])].toSorted();
  const { cursor, of = ids[0] as string } = authority.progress ?? {};
  const page = await ctx.devices.find({
    index: 'byCertificate',
    equals: { authorityId: of },
    limit: PAGE,
    ...(cursor === undefined ? {} : { cursor }),
  });
  const allowed = new Map<string, Promise<boolean>>();
  const deniesOnboarded = (account: string): Promise<boolean> => {
    const known = allowed.get(account);
    if (known !== undefined) return known;
    const asked = settingsOf(ctx.accounts, account).then(
      ({ voidedFactoryCaDenies }) => voidedFactoryCaDenies,
    );
    allowed.set(account, asked);
    return asked;
  };
  const isVoided = (record: DeviceRecord) =>
    pins.length === 0 ? record.authorityId === authority.id : isVoidedBy(authority.id, record, pins);
  const tell = async (record: DeviceRecord): Promise<void> => {
    if (authority.state !== 'active' && !isVoided(record)) return;
    // whose settings count is asked of the record that is written: it may have changed hands
    for (let ruler = rulerOf(record); ; ) {
      const denies = await deniesOnboarded(ruler);
      let isRulers = true;
      const current = await ctx.devices.update(record.id, (now) => {
        isRulers = rulerOf(now) === ruler;
        if (!isRulers) return undefined;
        if (authority.state === 'active') return liftBlock(now, pins, authority.id, ctx.now());
        if (!isVoided(now)) return undefined;
        const shutsOut = denies && authority.accountDeleted !== true;
        return blockDevice(now, authority, shutsOut || !isOnboarded(now), ctx.now());
      });
      if (isRulers) return;
      ruler = rulerOf(current);
    }
  };
  for (let start = 0; start < page.items.length; start += CONCURRENCY)
    await Promise.all(page.items.slice(start, start + CONCURRENCY).map(tell));
  if (page.next !== undefined) return { of, cursor: page.next };
  const after = ids[ids.indexOf(of) + 1];
  return after === undefined ? undefined : { of: after };
}

function isOnboarded({ state }: DeviceRecord): boolean {
  return state === 'bootstrapped' || state === 'enrolled' || state === 'active';
}

/** Blocks one that this pin puts out of force. */
function blockDevice(
  current: DeviceRecord,
  { id, reason }: VoidedAuthority,
  shutsOut: boolean,
  now: number,
): Change<DeviceRecord> | undefined {
  if (!shutsOut || current.state === 'retired') return undefined;
  return block(current, { reason, by: BY, now, cause: blockCauseOf(id) });
}

/** Whether this pin, which was just put out of force, is why the device is: its owner's, or the last of its CA. */
function isVoidedBy(id: string, record: DeviceRecord, pins: readonly FactoryPin[]): boolean {
  const pin = voidingPin(record, pins);
  const isOwners = pin !== undefined && pin.account === record.account;
  return isOwners ? pin.authorityId === id : pin !== undefined;
}

/** Lifts what this pin did; and what another's did, where the device's owner has none of its own and one suffices. */
function liftBlock(
  current: DeviceRecord,
  pins: readonly FactoryPin[],
  id: string,
  now: number,
): Change<DeviceRecord> | undefined {
  const isOwners = pins.some(({ account }) => account === current.account);
  const ids = isOwners ? [id] : [id, ...pins.map(({ authorityId }) => authorityId)];
  let change: Change<DeviceRecord> | undefined;
  for (const cause of ids.map(blockCauseOf))
    change = withdrawBlock(change?.document ?? current, { cause, by: BY, now }) ?? change;
  return change;
}

const BY = 'bootstrap';

function blockCauseOf(authorityId: string): string {
  return `factory-ca ${authorityId}`;
}

/** Records that a factory CA was put out of force, or back, and wakes the job that tells its devices. */
export async function recordAuthorityChange(
  { voided, wake, now }: Pick<Context, 'voided' | 'wake' | 'now'>,
  event: SignetEvent<'CA_CHANGED'>,
): Promise<void> {
  if (event.data.kind !== 'factory') return;
  await putVoided(voided, voidedByEvent(event, now()));
  wake.voidedAuthorities();
}

async function putVoided(voided: VoidedAuthorities, next: VoidedAuthority): Promise<void> {
  const before = await voided.get(next.id);
  if (before === undefined) {
    if (next.state === 'active') return;
    try {
      return await voided.insert(next);
    } catch (error) {
      if (!isDuplicate(error)) throw error;
    }
  }
  await voided.update(next.id, (current) => {
    const isNews = next.sequence > current.sequence && next.state !== current.state;
    if (isNews) return { document: next };
    return next.sequence > current.sequence
      ? { document: { ...current, sequence: next.sequence } }
      : undefined;
  });
}

/** Blocks or unblocks the devices of each CA that is due, page by page. Any replica resumes after an interruption. */
export async function applyVoidedAuthorities(
  ctx: Pick<Context, 'voided' | 'devices' | 'accounts' | 'factories' | 'trust' | 'now'>,
): Promise<void> {
  for (;;) {
    const { items } = await ctx.voided.find({ index: 'byDue', to: ctx.now() + 1, limit: 1 });
    const [authority] = items;
    if (authority === undefined) return;
    // Every account that has the CA pinned must be known before its devices change.
    await ctx.trust.refresh();
    const next = await applyToPage(ctx, authority);
    await ctx.voided.update(authority.id, (current) => nextProgress(current, { of: authority, next }));
  }
}
