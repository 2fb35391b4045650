import { randomUUID } from 'node:crypto';
import { listAuthorities } from '@signet/contracts';
import { DenyTable, denyKey } from '@signet/denylist';
import type { CrlEntry, CrlFile, CrlHead } from '@signet/pki';
import type { Hold } from '../denial/deny-state.ts';
import type { Asks } from '../devices/identify.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { type CrlTargets, crlTargets } from './crl-targets.ts';
import { checkEntry, type Judgement } from './judge-crl.ts';
import { reportListed, type Sightings } from './listed-devices.ts';
import { keysOf, loadSet, removeSet, type SetPages, saveSet } from './serial-sets.ts';
import { crlCause, type PartChange, type PartRecord, type SourceRecord } from './source-record.ts';

/** Certificates that go to bootstrap in one call. */
const AT_ONCE = 1000;

export type ApplyContext = Asks & {
  readonly ledger: Ledger;
  readonly pages: SetPages;
  readonly sightings: Sightings;
  readonly now: () => number;
};

/** The part of a source that is worked on, under its lease. */
type ApplyParts = ApplyContext & {
  readonly source: SourceRecord;
  readonly part: PartRecord;
  /** Fails once another replica works on the source. */
  readonly hold: () => Promise<void>;
};

export type Applied = { readonly entries: number; readonly listed: number; readonly unlisted: number };

type Work = ApplyParts & {
  /** Of the CRL, decimal, where it has one. */
  readonly number: string | undefined;
  readonly targets: CrlTargets;
};

/**
 * Puts a CRL in the place of the one before it: what is new in it is denied, what left it is lifted, and bootstrap is
 * told of both. `note` stores what the part has come to. Before anything is changed the new set is noted as pending, so
 * that, wherever this ends, the next one knows all that may have been denied.
 */
export async function applyCrl(
  parts: ApplyParts,
  crl: {
    readonly file: Pick<CrlFile, 'entries'>;
    readonly head: Pick<CrlHead, 'number'>;
    readonly judgement: Judgement;
  },
  note: (change: PartChange) => Promise<void>,
): Promise<Applied> {
  const { bus, pages, source, part } = parts;
  const { authorities } = await bus.request(listAuthorities, {});
  const number = crl.head.number?.toString();
  const work: Work = { ...parts, number, targets: crlTargets(source, authorities) };
  const before = await loadSet(pages, part.generation);
  const abandoned = await Promise.all((part.pending ?? []).map((name) => loadSet(pages, name)));
  const next = await setAfter(work, crl, before);
  const name = `${source.id}/${randomUUID()}`;
  await saveSet(pages, name, next);
  await parts.hold();
  await note({ pending: [...(part.pending ?? []), name] });
  const listed = await denyNew(work, crl.file.entries(), { before, next });
  const unlisted = await liftGone(work, [before, ...abandoned], next);
  await parts.hold();
  await note({ generation: name, pending: undefined });
  for (const set of setsOf(part)) await removeSet(pages, set);
  return { entries: next.size, listed, unlisted };
}

/** Takes back all that a part ever denied. @returns how many certificates that were */
export async function withdrawCrl(parts: ApplyParts): Promise<number> {
  const { bus, pages, source, part } = parts;
  const { authorities } = await bus.request(listAuthorities, {});
  const { number } = part;
  const sets = await Promise.all(setsOf(part).map((name) => loadSet(pages, name)));
  const work: Work = { ...parts, number, targets: crlTargets(source, authorities) };
  const lifted = await liftGone(work, sets, new DenyTable());
  for (const set of setsOf(part)) await removeSet(pages, set);
  return lifted;
}

function setsOf({ generation, pending = [] }: PartRecord): string[] {
  return generation === undefined ? pending : [generation, ...pending];
}

/** Goes through all of the list before anything is changed by it. @throws CrlRefused `malformed` */
async function setAfter(
  { source, now }: Work,
  { file, judgement }: { readonly file: Pick<CrlFile, 'entries'>; readonly judgement: Judgement },
  before: DenyTable,
): Promise<DenyTable> {
  const next = new DenyTable(judgement.kind === 'delta' ? before.size : 0);
  if (judgement.kind === 'delta') next.load(before.packed());
  for await (const batch of file.entries())
    for (const { serialNumber, reason, revokedAt } of batch) {
      checkEntry(serialNumber, revokedAt, now());
      const key = denyKey({ kind: 'certificate', issuerKeyId: source.issuerKeyId, serialNumber });
      if (reason === 'removeFromCRL') next.lift(key);
      else next.add(key, 0);
    }
  return next;
}

async function denyNew(
  work: Work,
  entries: AsyncIterable<readonly CrlEntry[]>,
  { before, next }: { readonly before: DenyTable; readonly next: DenyTable },
): Promise<number> {
  const { source } = work;
  let listed = 0;
  for await (const batch of entries) {
    const added = batch.filter(({ serialNumber, reason }) => {
      if (reason === 'removeFromCRL') return false;
      const key = denyKey({ kind: 'certificate', issuerKeyId: source.issuerKeyId, serialNumber });
      return next.has(key, 0) && !before.has(key, 0);
    });
    for (let i = 0; i < added.length; i += AT_ONCE) await deny(work, added.slice(i, i + AT_ONCE));
    listed += added.length;
  }
  return listed;
}

async function deny(work: Work, entries: readonly CrlEntry[]): Promise<void> {
  const { source, number, targets, ledger, now } = work;
  await work.hold();
  const holdOf = (reason: string): Hold => ({
    cause: causeOf(work),
    source: `${number === undefined ? 'CRL' : `CRL ${number}`} of "${source.name}"`,
    account: source.account,
    reason,
    ...(number === undefined ? {} : { crlNumber: number }),
    since: new Date(now()).toISOString(),
    expiresAt: 0,
  });
  await ledger.append(
    entries.flatMap(({ serialNumber, reason = 'unspecified' }) =>
      targets.targets(serialNumber).map((target) => ({ do: 'deny' as const, target, hold: holdOf(reason) })),
    ),
  );
  const listed = entries.map(({ serialNumber, reason = 'unspecified' }) => ({ serialNumber, reason }));
  await reportListed(work, { listed, unlisted: [] });
}

async function liftGone(work: Work, sets: readonly DenyTable[], next: DenyTable): Promise<number> {
  const { ledger, targets, hold } = work;
  const cause = causeOf(work);
  const seen = new DenyTable();
  for (const set of sets)
    for (const keys of keysOf(set)) {
      const gone = keys.filter((key) => !next.has(key, 0) && !seen.has(key, 0));
      for (let i = 0; i < gone.length; i += AT_ONCE) {
        await hold();
        const some = gone.slice(i, i + AT_ONCE);
        const states = await Promise.all(some.map((key) => ledger.state(key)));
        const unlisted = states.flatMap((state) =>
          state?.target.kind === 'certificate' ? [state.target.serialNumber] : [],
        );
        const lifts = unlisted.flatMap((serialNumber) => targets.targets(serialNumber));
        await ledger.append(lifts.map((target) => ({ do: 'lift' as const, target, cause })));
        await reportListed(work, { listed: [], unlisted });
        for (const key of some) seen.add(key, 0);
      }
    }
  return seen.size;
}

function causeOf({ source, part }: Pick<Work, 'source' | 'part'>): string {
  return crlCause(source.id, part.name);
}
