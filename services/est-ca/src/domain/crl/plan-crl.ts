import {
  type CrlSegment,
  decodeSegment,
  EntrySet,
  encodeSegment,
  joinSegments,
  mergeEntries,
} from '@signet/pki';
import type { CrlScope } from '../authority/revocation-urls.ts';
import type { Certificates } from '../certificate/certificate.ts';
import type { CrlFiles, CrlState, CrlStates } from './crl-store.ts';
import { changesOf, type RevocationRecords, revocationsSince } from './revocations.ts';

export type PlanDeps = RevocationRecords & {
  readonly certificates: Pick<Certificates, 'find' | 'count' | 'get'>;
  readonly states: Pick<CrlStates, 'update'>;
  readonly files: Pick<CrlFiles, 'segments'>;
  /** From thisUpdate to nextUpdate of a complete CRL; it is made anew at half of that. */
  readonly lifetimeMs: number;
  readonly deltaLifetimeMs: number;
  readonly now: () => number;
};

/**
 * A revocation may reach the store a little after the time that it bears: what is this much older than the last scan is
 * read again. Whatever takes longer, or bears the time of a clock that is wrong, is brought by its event.
 */
export const OVERLAP_MS = 30_000;
/** As long as a complete CRL is this short it is made anew with each change, not only on schedule. */
const SHORT_ENTRIES = 2000;
/** A delta that has grown beyond this is worth a complete CRL before its time. */
const MAX_DELTA_ENTRIES = 20_000;
/** Entries from which on a list is made in a thread of its own. */
export const THREAD_ENTRIES = 5000;
/** The scan starts where the last one ended; that is kept up to date where nothing was to be published too. */
const COVERAGE_MS = 300_000;

/** What a run of publishing looks at besides what is due by itself. */
export type CrlWork = {
  /** Whether the store is looked through for what was revoked lately. */
  readonly scan: boolean;
  /** Serial numbers whose records are read and listed, whatever time they bear. */
  readonly serials: readonly string[];
};

/** What is to be published next. */
export type CrlPlan = {
  readonly now: number;
  readonly coveredUpTo: number;
  /** Whether it holds all that the store has; else there is more to do. */
  readonly isAll: boolean;
  /** Absent where the complete CRL stays; `scheduled`: a new one that deltas start from. */
  readonly complete?: {
    readonly listed: AsyncIterable<CrlSegment>;
    readonly changes: CrlSegment;
    readonly endedBefore: number;
    readonly large: boolean;
    readonly scheduled: boolean;
  };
  readonly delta: CrlSegment;
};

/** The first CRLs of a scope: all that was ever revoked. */
export async function firstPlan(deps: PlanDeps, scope: CrlScope, { serials }: CrlWork): Promise<CrlPlan> {
  const now = deps.now();
  const { authorityId } = scope;
  const revoked = await deps.certificates.count({ index: 'revoked', equals: { authorityId } });
  const listed = revocationsSince(deps, scope, { endedBefore: now });
  const changes = await changesOf(deps, scope, serials);
  const large = revoked > THREAD_ENTRIES;
  const complete = { listed, changes, endedBefore: 0, large, scheduled: true };
  return { now, coveredUpTo: now, isAll: true, complete, delta: joinSegments([]) };
}

/** What to publish after `before`; undefined where nothing is due. */
export async function nextPlan(
  deps: PlanDeps,
  scope: CrlScope,
  before: CrlState,
  work: CrlWork,
): Promise<CrlPlan | undefined> {
  const { complete, delta, scheduledAt } = before;
  const now = deps.now();
  const { fresh, listed, isAll } = await newEntries(deps, { scope, before, work, now });
  const count = fresh.ends.length;
  const scheduled =
    now >= Date.parse(scheduledAt) + deps.lifetimeMs / 2 ||
    (listed.ends.length + count > MAX_DELTA_ENTRIES && now >= Date.parse(scheduledAt) + OVERLAP_MS);
  const deltaDue = now >= Date.parse(delta.thisUpdate) + deps.deltaLifetimeMs / 2;
  const coveredUpTo = isAll && work.scan ? now : Date.parse(before.coveredUpTo);
  if (!scheduled && !deltaDue && count === 0) {
    await keepCoverage(deps, before, coveredUpTo);
    return undefined;
  }
  const merge = { changes: fresh, listRemovals: true, endedBefore: 0 };
  const changed = mergeEntries(listed, merge);
  const entries = deps.files.segments(scope.id, complete);
  const large = complete.entries > THREAD_ENTRIES;
  const plan = { now, coveredUpTo, isAll };
  if (scheduled) {
    const endedBefore = Math.floor(Date.parse(scheduledAt) / 1000);
    return {
      ...plan,
      complete: { listed: entries, changes: changed, endedBefore, large, scheduled },
      delta: changedFrom(changed, coveredUpTo - OVERLAP_MS),
    };
  }
  if (count === 0 || complete.entries > SHORT_ENTRIES) return { ...plan, delta: changed };
  return {
    ...plan,
    complete: { listed: entries, changes: fresh, endedBefore: 0, large, scheduled },
    delta: changed,
  };
}

/** What the delta does not list yet, at most so much at once, and what it does list. */
async function newEntries(
  deps: PlanDeps,
  {
    scope,
    before: { coveredUpTo, scheduledAt, delta },
    work,
    now,
  }: { scope: CrlScope; before: CrlState; work: CrlWork; now: number },
) {
  const known = new EntrySet();
  const listed: CrlSegment[] = [];
  for await (const segment of deps.files.segments(scope.id, delta)) {
    known.add(segment);
    listed.push(segment);
  }
  const fresh = [known.addNew(await changesOf(deps, scope, work.serials))];
  if (!work.scan) return { fresh: joinSegments(fresh), listed: joinSegments(listed), isAll: true };
  let count = 0;
  const since = new Date(Math.min(Date.parse(coveredUpTo), now) - OVERLAP_MS).toISOString();
  const endedBefore = Date.parse(scheduledAt);
  for await (const segment of revocationsSince(deps, scope, { since, endedBefore })) {
    const part = known.addNew(segment);
    fresh.push(part);
    count += part.ends.length;
    if (count > MAX_DELTA_ENTRIES) break;
  }
  return { fresh: joinSegments(fresh), listed: joinSegments(listed), isAll: count <= MAX_DELTA_ENTRIES };
}

/** Entries from `time` on: a new delta starts with them, so that the next scan tells them from what is new. */
function changedFrom(segment: CrlSegment, time: number): CrlSegment {
  return encodeSegment(decodeSegment(segment).filter(({ revokedAt }) => revokedAt >= time - 1000));
}

async function keepCoverage(deps: PlanDeps, before: CrlState, coveredUpTo: number): Promise<void> {
  if (Math.abs(coveredUpTo - Date.parse(before.coveredUpTo)) < COVERAGE_MS) return;
  await deps.states.update(before.id, (current) =>
    current.number === before.number
      ? { document: { ...current, coveredUpTo: new Date(coveredUpTo).toISOString() } }
      : undefined,
  );
}
