import { listAuthorities, newEvent, PLATFORM_ACCOUNT, type SignetEvent } from '@signet/contracts';
import { all } from '@signet/store';
import type { Asks } from '../devices/identify.ts';
import type { Log } from '../documents/documents.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { SourceRecord, Sources } from './source-record.ts';

export type StalenessContext = Asks & {
  readonly sources: Sources;
  readonly ledger: Ledger;
  readonly now: () => number;
  readonly log: Log;
  /** Ids of the sources that are past their end, and that are not to go on like that. */
  readonly staleSources: Set<string>;
};

/** The longest wait between tries, times the wait that was asked for. */
const LONGEST = 8;
/** A source that never gave a CRL is stale after so many waits. */
const PATIENCE = 3;

/**
 * When to fetch again, Unix ms: a tenth more or less than asked for, so that replicas and sources do not fetch at once;
 * longer after each failure in a row. `random` in 0 … 1.
 */
export function nextFetchAt(
  { everySeconds, failures }: Pick<SourceRecord, 'everySeconds' | 'failures'>,
  now: number,
  random: number,
): number {
  const factor = Math.min(2 ** Math.max(0, failures - 1), LONGEST);
  return Math.round(now + everySeconds * 1000 * factor * (0.9 + random * 0.2));
}

/** Whether one of its CRLs is past its end, or never came. `now` in Unix ms. */
export function isStale(source: SourceRecord, now: number): boolean {
  const patience = source.everySeconds * 1000 * PATIENCE;
  if (source.parts.length === 0)
    return source.urls.length > 0 && Date.parse(source.createdAt) + patience < now;
  return source.parts.some(({ nextUpdate, acceptedAt }) => {
    if (nextUpdate !== undefined) return Date.parse(nextUpdate) <= now;
    return Date.parse(acceptedAt ?? source.createdAt) + patience < now;
  });
}

/** Looks whether any source has grown stale, or is fresh again. */
export async function watchSources(ctx: StalenessContext): Promise<void> {
  for await (const { id } of all(ctx.sources, { limit: 100 })) await watchSource(ctx, id);
}

/** Looks whether a source has grown stale, or is fresh again, and acts on it as its policy says. */
export async function watchSource(ctx: StalenessContext, id: string): Promise<void> {
  const source = await ctx.sources.get(id);
  const isAlarming =
    source !== undefined && (await settleStaleness(ctx, source)) && source.whenStale !== 'go-on';
  if (isAlarming) ctx.staleSources.add(id);
  else ctx.staleSources.delete(id);
}

/** @returns whether it is stale */
async function settleStaleness(ctx: StalenessContext, source: SourceRecord): Promise<boolean> {
  const { sources, ledger, now, log } = ctx;
  const stale = isStale(source, now());
  const mayDeny = stale && source.whenStale === 'refuse-new' && !(await isShared(ctx, source));
  const { target, cause } = staleDenial(source);
  const since = new Date(now()).toISOString();
  if (stale && source.staleSince !== undefined) {
    // somebody may have pinned its issuer since
    if (source.whenStale === 'refuse-new' && !mayDeny) await ledger.append([{ do: 'lift', target, cause }]);
    return stale;
  }
  if (!stale && source.staleSince === undefined) return stale;
  if (mayDeny) {
    const hold = { cause, source: `CRL source "${source.name}"`, account: source.account, since };
    await ledger.append([
      { do: 'deny', target, hold: { ...hold, reason: 'its CRL is past its end', expiresAt: 0 } },
    ]);
  }
  if (!stale) await ledger.append([{ do: 'lift', target, cause }]);
  await sources.update(source.id, (current) => {
    if ((current.staleSince !== undefined) === stale) return undefined;
    const { staleSince: _, ...rest } = current;
    return {
      document: stale ? { ...rest, staleSince: since } : rest,
      events: eventsOf(source, stale, now()),
    };
  });
  log[stale && source.whenStale !== 'go-on' ? 'error' : 'info'](
    { source: source.id, whenStale: source.whenStale },
    stale ? 'CRL source: stale' : 'CRL source: fresh again',
  );
  return stale;
}

/** Takes back what staleness of a source denied: it is removed, or judged anew by another policy. */
export async function clearStaleness(
  { sources, ledger }: Pick<StalenessContext, 'sources' | 'ledger'>,
  source: SourceRecord,
): Promise<void> {
  await ledger.append([{ do: 'lift', ...staleDenial(source) }]);
  if (source.staleSince === undefined || (await sources.get(source.id)) === undefined) return;
  await sources.update(source.id, ({ staleSince: _, ...rest }) => ({ document: rest }));
}

/** What a stale source denies, under which cause: new sessions of its CA. */
function staleDenial({ id, issuerKeyId }: SourceRecord) {
  const target = { kind: 'ca', subjectKeyId: issuerKeyId, only: 'new' } as const;
  return { target, cause: `CRL ${id} is stale` };
}

/** Whether another account has the issuer pinned too: one account's list must not keep another's devices out. */
async function isShared({ bus }: Asks, { account, issuerKeyId }: SourceRecord): Promise<boolean> {
  if (account === PLATFORM_ACCOUNT) return false;
  const { authorities } = await bus.request(listAuthorities, {});
  return authorities.some((other) => other.subjectKeyId === issuerKeyId && other.account !== account);
}

function eventsOf(source: SourceRecord, stale: boolean, time: number): SignetEvent[] {
  const { account, name, whenStale } = source;
  if (whenStale === 'go-on') return [];
  const facts = { account, subject: name, time };
  return [
    stale
      ? newEvent('CRL_SOURCE_STALE', { ...facts, data: { source: name, whenStale } })
      : newEvent('CRL_SOURCE_FRESH', { ...facts, data: { source: name } }),
  ];
}
