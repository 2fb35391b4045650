import { PLATFORM_ACCOUNT } from '@signet/contracts';
import { NO_END, parseCertificatePem } from '@signet/pki';
import { type Authorities, type AuthorityDocument, changedEvent } from './authority.ts';
import { isInForce } from './issuer-registry.ts';
import type { Hindrances } from './succeed.ts';

const DAY_MS = 86_400_000;

/** The profile of an account that gives the longest validity, and that validity in days. */
export type NeededValidity = { readonly profile: string; readonly days: number };

/** What a CA has to give, in days, and what asks for the most of it. */
export type Needs = { readonly days: number; readonly why?: string };

/**
 * How near the end of a CA is: `near` from twice the longest validity that it gives; `short` from once that, when it
 * refuses what it cannot give; then it has `ended`.
 */
export const endStages = ['near', 'short', 'ended'] as const;
export type EndStage = (typeof endStages)[number];

/** The least that is warned ahead, of a CA that lives for four times as long. */
const WITHIN_MS = 180 * DAY_MS;

/** Undefined while the end is far. */
export function endStage(document: AuthorityDocument, needs: Needs, now: number): EndStage | undefined {
  const { notBefore, notAfter } = parseCertificatePem(document.certificate);
  const left = notAfter - now;
  if (left <= 0) return 'ended';
  if (left < needs.days * DAY_MS) return 'short';
  const ahead = Math.max(2 * needs.days * DAY_MS, Math.min(WITHIN_MS, (notAfter - notBefore) / 4));
  return left <= ahead ? 'near' : undefined;
}

/**
 * Whether a CA whose root is kept here gets its successor: in the last quarter of its life, and before twice the longest
 * validity that it gives is left.
 */
export function isSuccessorDue(document: AuthorityDocument, { days }: Needs, now: number): boolean {
  const { notBefore, notAfter } = parseCertificatePem(document.certificate);
  if (notAfter >= NO_END) return false;
  return notAfter - now <= Math.max((notAfter - notBefore) / 4, 2 * days * DAY_MS);
}

/**
 * The CAs that issue now: of each account and kind the newest in force. Those before them are kept for what they have
 * signed, and may end.
 */
export function issuingNow(documents: readonly AuthorityDocument[]): readonly AuthorityDocument[] {
  const byId = new Map(documents.map((document) => [document.id, document]));
  const newest = new Map<string, AuthorityDocument>();
  for (const document of documents) {
    const { account, kind, custody, createdAt } = document;
    if (kind !== 'root' && custody === 'elsewhere') continue;
    if (!isInForce(document, byId)) continue;
    const slot = `${account}/${kind}`;
    const before = newest.get(slot);
    if (before === undefined || before.createdAt <= createdAt) newest.set(slot, document);
  }
  return [...newest.values()];
}

/** What the CA of a kind has to give. */
export type NeedsOf = (document: AuthorityDocument) => Promise<Needs>;

export function needsOf(deps: {
  /** The longest validity of an account's profiles; of the profiles of all accounts for the platform. */
  readonly profiles: (account: string) => Promise<{ readonly profile: string; readonly days: number }>;
  readonly serverDays: number;
}): NeedsOf {
  const profiles = async (account: string): Promise<Needs> => {
    const { profile, days } = await deps.profiles(account);
    return account === PLATFORM_ACCOUNT ? { days } : { days, why: `profile "${profile}" gives ${days} days` };
  };
  return async ({ kind, account }) => {
    if (kind === 'server') return { days: deps.serverDays };
    // of a factory CA that has an end, certificates that register devices are asked for
    if (kind === 'factory') return { days: REGISTRATION_DAYS };
    const needs = await profiles(account);
    return kind === 'issuing' ? needs : { days: Math.max(needs.days, deps.serverDays) };
  };
}

const REGISTRATION_DAYS = 365;

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
