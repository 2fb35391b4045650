import { type EventType, newEvent } from '@signet/contracts';
import type { Logger } from '@signet/service';
import { isStale } from '../../domain/crl/schedule.ts';
import type { SourceRecord, Sources } from '../../domain/crl/source-record.ts';
import type { DenyLedger } from '../../domain/deny-ledger.ts';

type Parts = {
  readonly sources: Sources;
  readonly ledger: DenyLedger;
  readonly now: () => number;
  readonly log: Logger;
  /** Whether another account has the issuer pinned too: one account's list must not keep another's devices out. */
  readonly isShared: (source: SourceRecord) => Promise<boolean>;
};

/** Acts on a source that has grown stale, or is so no more, as its policy says. @returns whether it is stale */
export async function keepFresh(parts: Parts, source: SourceRecord): Promise<boolean> {
  const { sources, ledger, now, log } = parts;
  const stale = isStale(source, now());
  const mayDeny = stale && source.whenStale === 'refuse-new' && !(await parts.isShared(source));
  const target = { kind: 'ca', subjectKeyId: source.issuerKeyId, only: 'new' } as const;
  const cause = `CRL ${source.id} is stale`;
  const since = new Date(now()).toISOString();
  if (stale && source.staleSince !== undefined) {
    // somebody may have pinned it since
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

/** Takes back what {@link keepFresh} did: the source is removed, or judged anew by another policy. */
export async function forgetStale(
  { sources, ledger }: Pick<Parts, 'sources' | 'ledger'>,
  source: SourceRecord,
): Promise<void> {
  const target = { kind: 'ca', subjectKeyId: source.issuerKeyId, only: 'new' } as const;
  await ledger.append([{ do: 'lift', target, cause: `CRL ${source.id} is stale` }]);
  if (source.staleSince === undefined || (await sources.get(source.id)) === undefined) return;
  await sources.update(source.id, ({ staleSince: _, ...rest }) => ({ document: rest }));
}

function eventsOf(source: SourceRecord, stale: boolean, time: number) {
  if (source.whenStale === 'go-on') return [];
  const facts = { account: source.account, subject: source.name, time };
  const type: EventType = stale ? 'CRL_SOURCE_STALE' : 'CRL_SOURCE_FRESH';
  return [
    type === 'CRL_SOURCE_STALE'
      ? newEvent(type, { ...facts, data: { source: source.name, whenStale: source.whenStale } })
      : newEvent('CRL_SOURCE_FRESH', { ...facts, data: { source: source.name } }),
  ];
}
