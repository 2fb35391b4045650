import { PLATFORM_ACCOUNT } from '@signet/contracts';
import { type Authorities, type AuthorityDocument, changedEvent } from './authority.ts';
import { type EndStage, endStage, endStages, issuingNow, type Needs, type NeedsOf } from './end.ts';
import type { Hindrances } from './succeed.ts';

export type EndDeps = {
  readonly authorities: Pick<Authorities, 'update'>;
  readonly needsOf: NeedsOf;
  /** Whose server CA signs for the services. */
  readonly serverAccount: string;
  readonly now: () => number;
};

/** The end of a CA, and what is to be done. `fails`: what the platform issues by default it cannot issue any more. */
export type NearEnd = {
  readonly authorityId: string;
  readonly account: string;
  readonly stage: EndStage;
  readonly fails: boolean;
  readonly text: string;
};

/**
 * Says `CA_CHANGED` of each CA that issues and has no successor, once at each stage of its end. What is issued is never
 * shortened.
 * @returns what is to be warned of
 */
export async function announceEnds(
  deps: EndDeps,
  documents: readonly AuthorityDocument[],
  hindrances: Hindrances,
): Promise<readonly NearEnd[]> {
  const near: NearEnd[] = [];
  for (const document of issuingNow(documents)) {
    const needs = await deps.needsOf(document);
    const stage = endStage(document, needs, deps.now());
    if (stage === undefined) continue;
    const { id, account, kind, notAfter } = document;
    const more = [needs.why, hindrances.get(id), kind === 'root' ? REPLACE : undefined];
    const rest = more.filter((part) => part !== undefined).map((part) => `; ${part}`);
    near.push({
      ...{ authorityId: id, account, stage },
      fails: stage !== 'near' && isPlatforms(document, stage, deps.serverAccount),
      text: `CA "${id}" ${sentence(kind, stage, notAfter, needs)}${rest.join('')}`,
    });
    await announce(deps, document, stage, `${event(stage, notAfter)}${rest.join('')}`);
  }
  return near;
}

const REPLACE = 'replace it (signet ca replace-root)';

/** A server CA shortens what it gives, and so serves to its end. */
function isPlatforms({ account, kind }: AuthorityDocument, stage: EndStage, serverAccount: string): boolean {
  if (kind === 'server') return stage === 'ended' && account === serverAccount;
  return account === PLATFORM_ACCOUNT && (kind === 'issuing' || stage === 'ended');
}

function sentence(
  kind: AuthorityDocument['kind'],
  stage: EndStage,
  notAfter: string,
  { days }: Needs,
): string {
  if (stage === 'ended') return `ended at ${notAfter}`;
  if (stage === 'short' && kind === 'issuing')
    return `ends at ${notAfter}, sooner than the ${days} days that are asked of it: enrolments and renewals are refused`;
  return `ends at ${notAfter}`;
}

function event(stage: EndStage, notAfter: string): string {
  if (stage === 'ended') return `it ended, ${notAfter}`;
  return `its end draws near, ${notAfter}${stage === 'short' ? ', and is sooner than what it is to give' : ''}`;
}

async function announce(
  { authorities, now }: EndDeps,
  { id }: AuthorityDocument,
  stage: EndStage,
  reason: string,
): Promise<void> {
  const isSaid = (current: AuthorityDocument) =>
    current.endAnnounced === current.notAfter &&
    endStages.indexOf(current.endStage ?? 'near') >= endStages.indexOf(stage);
  await authorities.update(id, (current) => {
    if (current.state !== 'active' || isSaid(current)) return undefined;
    const next = { ...current, endAnnounced: current.notAfter, endStage: stage };
    return { document: next, events: [changedEvent(next, now(), reason)] };
  });
}
