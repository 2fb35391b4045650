import { ListedSerials } from '@signet/pki';
import type { SigningCa } from '../authority/issuer-registry.ts';
import type { CrlScope } from '../authority/revocation-urls.ts';
import { type CrlFiles, CrlGone, type CrlState, type CrlStates, latestState } from './crl-store.ts';
import type { CrlPublisher } from './publish-crl.ts';
import { type RevocationRecords, revocationsSince } from './revocations.ts';

export type CompareDeps = RevocationRecords & {
  readonly states: Pick<CrlStates, 'find' | 'update'>;
  readonly files: Pick<CrlFiles, 'segments'>;
  readonly publisher: CrlPublisher;
  /** Resolves after the time that a revocation takes to be listed: what is on its way is not missing. */
  readonly settle: () => Promise<void>;
  readonly now: () => number;
};

/** How often the list of a scope is held against all its records. */
const COMPARE_MS = 3_600_000;
/** Serial numbers that one run of publishing is given. */
const AT_ONCE = 5000;
/** Comparisons in a row that find something, after which the next one on schedule goes on. */
const ROUNDS = 5;

/** Whether the list of a scope is to be compared: never yet, not for an hour, or at a time that has not come. */
export function isComparisonDue({ comparedAt }: CrlState, now: number): boolean {
  if (comparedAt === undefined) return true;
  const at = Date.parse(comparedAt);
  return now - at >= COMPARE_MS || at > now;
}

/**
 * Holds the CRLs of a scope against every record, and publishes what is missing from them or listed in vain: whatever
 * lost it, the wrong clock of a replica or of an earlier release, it is put right here.
 * @returns how many entries were put right
 * @throws PkiError `signer-failed`, StoreError
 */
export async function compareCrl(deps: CompareDeps, authority: SigningCa, scope: CrlScope): Promise<number> {
  let healed = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const startedAt = new Date(deps.now()).toISOString();
    const state = await latestState(deps.states, scope.id);
    if (state === undefined) return healed;
    const differing = await lastingDifferences(deps, scope, state);
    if (differing === undefined) continue;
    if (differing.length === 0) {
      await noteComparison(deps, scope, startedAt);
      return healed;
    }
    for (let at = 0; at < differing.length; at += AT_ONCE)
      await deps.publisher.publish(authority, scope, differing.slice(at, at + AT_ONCE));
    healed += differing.length;
  }
  return healed;
}

/** What differs now, and after all that is on its way has been listed. */
async function lastingDifferences(
  deps: CompareDeps,
  scope: CrlScope,
  state: CrlState,
): Promise<readonly string[] | undefined> {
  const first = await differences(deps, scope, state);
  if (first === undefined || first.length === 0) return first;
  await deps.settle();
  const settled = await latestState(deps.states, scope.id);
  const second = settled === undefined ? undefined : await differences(deps, scope, settled);
  if (second === undefined) return undefined;
  const still = new Set(second);
  return first.filter((serial) => still.has(serial));
}

/** Serial numbers of which records and list say different things; undefined where the list was replaced meanwhile. */
async function differences(
  deps: CompareDeps,
  scope: CrlScope,
  { complete, delta, scheduledAt }: CrlState,
): Promise<readonly string[] | undefined> {
  const listed = new ListedSerials();
  try {
    for (const file of [complete, delta])
      for await (const segment of deps.files.segments(scope.id, file)) listed.add(segment);
  } catch (error) {
    if (error instanceof CrlGone) return undefined;
    throw error;
  }
  const differing: string[] = [];
  const endedBefore = Math.max(Date.parse(scheduledAt), deps.now());
  for await (const segment of revocationsSince(deps, scope, { endedBefore }))
    differing.push(...listed.differing(segment));
  return differing;
}

/** In the step that is in force, which may be a later one: what it lists is what this one did, and more. */
async function noteComparison({ states }: CompareDeps, scope: CrlScope, comparedAt: string): Promise<void> {
  const state = await latestState(states, scope.id);
  if (state !== undefined)
    await states.update(state.id, (current) => ({ document: { ...current, comparedAt } }));
}
