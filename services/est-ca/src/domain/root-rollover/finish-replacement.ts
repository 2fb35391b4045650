import type { SignedStatement } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { type AuthorityDocument, AuthorityError, changedEvent } from '../authority/authority.ts';
import { authoritiesOf, readAuthorities } from '../authority/chains.ts';
import { proveIfExternal } from '../authority/external-root.ts';
import {
  belowOld,
  findLeftBehind,
  findReplacement,
  isCertifiedBy,
  isCutOver,
  type Roots,
  waitingBelow,
} from '../authority/replacement.ts';
import type { Adoption } from './adoption.ts';
import { certifyBelowNew, type ReplaceDeps } from './replace-root.ts';

export type FinishDeps = ReplaceDeps & {
  readonly adoptionOf: (root: AuthorityDocument) => Promise<Adoption>;
};

/** A CA that the new root has not certified, and how many certificates of devices it signed that are good. */
export type Unverified = Pick<AuthorityDocument, 'kind' | 'state'> & {
  readonly authorityId: string;
  readonly certificates: number;
};

export type Finished = {
  readonly root: AuthorityDocument;
  readonly stranded: Adoption;
  readonly unverified: readonly Unverified[];
};

const NAMED = 10;

/** How far the replacement of an account's root has come. @throws AuthorityError `no-replacement` */
export async function replacementOf(
  deps: Pick<FinishDeps, 'authorities' | 'adoptionOf' | 'now'>,
  account: string,
): Promise<{
  readonly root: AuthorityDocument;
  readonly unverified: readonly Unverified[];
  readonly adoption: Adoption;
}> {
  const existing = await authoritiesOf(deps.authorities, account);
  const roots = required(account, existing, deps.now());
  const adoption = await deps.adoptionOf(roots.next);
  return { root: roots.next, unverified: unverifiedOf(roots, existing, adoption, deps.now()), adoption };
}

/**
 * The cut-over: the account's CAs go on under the new root, then the old one is put out of force. Refused while devices
 * lack the new root, unless forced, and while a CA in force lacks its signature, forced or not: nothing that lives is
 * cut off. The decision is on record before the first step; from then on a repetition goes on where it was cut off.
 * @throws AuthorityError `no-replacement`, `fleet-not-ready`, `statement-…`
 */
export async function finishReplacement(
  deps: FinishDeps,
  request: {
    readonly account: string;
    readonly force: boolean;
    readonly statement?: SignedStatement | undefined;
    readonly by: string;
  },
): Promise<Finished> {
  const { account, force, statement, by } = request;
  const now = deps.now();
  const roots = required(account, await authoritiesOf(deps.authorities, account), now);
  const { next } = roots;
  await certifyBelowNew(deps, roots, await authoritiesOf(deps.authorities, account));
  const existing = await authoritiesOf(deps.authorities, account);
  const stranded = await deps.adoptionOf(next);
  const unverified = unverifiedOf(roots, existing, stranded, now);
  if (!isCutOver(roots)) rejectIfStranded(stranded, unverified, force);
  else rejectIfInForce(unverified);
  if (next.replacement?.cutOverAt === undefined || next.replacement.finishedAt !== undefined) {
    const proof = { action: 'finish-replacement', account, subject: next.id } as const;
    await proveIfExternal(deps, existing, proof, statement);
  }
  await decide(deps, roots, by);
  return { root: await goThrough(deps, account, roots, by), stranded, unverified };
}

/**
 * Goes through with every cut-over that was decided and cut off, whoever decided it.
 * @returns what keeps one from its end, and the CAs in force that stand below a root which another has replaced
 */
export async function resumeReplacements(deps: Omit<FinishDeps, 'adoptionOf'>): Promise<readonly string[]> {
  const problems: string[] = [];
  const byAccount = Map.groupBy(await readAuthorities(deps.authorities), ({ account }) => account);
  for (const [account, existing] of byAccount) {
    const roots = findReplacement(existing);
    if (roots !== undefined && isCutOver(roots))
      try {
        await goThrough(deps, account, roots, roots.next.changedBy ?? roots.next.createdBy ?? 'est-ca');
      } catch (error) {
        if (!(error instanceof AuthorityError)) throw error;
        problems.push(`replacement of "${roots.old.id}" by "${roots.next.id}": ${error.message}`);
      }
    const left = roots === undefined ? findLeftBehind(existing, deps.now()) : undefined;
    for (const { id, state } of left === undefined ? [] : belowOld(left, existing, deps.now()))
      if (state === 'active')
        problems.push(
          `CA "${id}" of account "${account}" was left below a root that "${left?.next.id}" has replaced: signet ca finish-replacement takes it along`,
        );
  }
  return problems;
}

function required(account: string, existing: readonly AuthorityDocument[], now: number): Roots {
  const found = findReplacement(existing) ?? findLeftBehind(existing, now);
  if (found !== undefined) return found;
  throw new AuthorityError('no-replacement', `root: none of account "${account}" is being replaced`);
}

function unverifiedOf(
  roots: Roots,
  existing: readonly AuthorityDocument[],
  { live }: Adoption,
  now: number,
): readonly Unverified[] {
  return waitingBelow(roots, existing, now).map(({ id, kind, state }) => ({
    ...{ authorityId: id, kind, state, certificates: live.get(id) ?? 0 },
  }));
}

function rejectIfStranded(
  { without, withoutCount }: Adoption,
  unverified: readonly Unverified[],
  force: boolean,
): void {
  const reasons: string[] = [];
  if (withoutCount > 0 && !force) {
    const more = withoutCount > NAMED ? ', …' : '';
    reasons.push(
      `${withoutCount} devices do not have the new root: ${without.slice(0, NAMED).join(', ')}${more}`,
    );
  }
  const counted = force ? unverified.filter(({ state }) => state === 'active') : unverified;
  if (counted.length > 0) reasons.push(textOf(counted));
  if (reasons.length > 0) throw new AuthorityError('fleet-not-ready', reasons.join('; '));
}

function rejectIfInForce(unverified: readonly Unverified[]): void {
  const counted = unverified.filter(({ state }) => state === 'active');
  if (counted.length > 0) throw new AuthorityError('fleet-not-ready', textOf(counted));
}

function textOf(unverified: readonly Unverified[]): string {
  const named = unverified.map(({ authorityId, kind, certificates }) =>
    kind === 'server'
      ? `${authorityId} (TLS of the services)`
      : `${authorityId} (${certificates} certificates of devices)`,
  );
  return `CAs not certified by the new root: ${named.join(', ')}; have it certify them, or disable them first`;
}

/** Puts on record that the cut-over is gone through with. */
async function decide({ authorities, now }: FinishDeps, { old, next }: Roots, by: string): Promise<void> {
  await authorities.update(next.id, (current) => {
    const { replacement, state } = current;
    if (replacement === undefined || state !== 'active')
      throw new AuthorityError('no-replacement', `root: "${next.id}" is ${state}`);
    if (replacement.cutOverAt !== undefined || replacement.finishedAt !== undefined) return undefined;
    const cutOverAt = new Date(now()).toISOString();
    const decided = { ...current, replacement: { ...replacement, cutOverAt }, changedBy: by };
    return { document: decided, events: [changedEvent(decided, now(), `takes the place of "${old.id}"`)] };
  });
}

/** The steps of a cut-over that was decided. Each may have been done before, by whichever process. */
async function goThrough(
  deps: Omit<FinishDeps, 'adoptionOf'>,
  account: string,
  roots: Roots,
  by: string,
): Promise<AuthorityDocument> {
  const { authorities, now } = deps;
  const { old, next } = roots;
  await moveAll(deps, account, roots);
  await authorities.update(old.id, (current) => {
    if (current.state !== 'active') return undefined;
    const reason = `replaced by "${next.id}"`;
    const done = { ...current, state: 'disabled' as const, reason, changedBy: by };
    return { document: done, events: [changedEvent(done, now(), reason)] };
  });
  // a CA that was being made below the old root meanwhile
  await moveAll(deps, account, roots);
  return authorities.update(next.id, (current) => {
    if (current.replacement === undefined || current.replacement.finishedAt !== undefined) return undefined;
    const finishedAt = new Date(now()).toISOString();
    const done = { ...current, replacement: { ...current.replacement, finishedAt }, changedBy: by };
    return { document: done, events: [changedEvent(done, now(), `took the place of "${old.id}"`)] };
  });
}

/** @throws AuthorityError `fleet-not-ready` where a CA in force cannot be taken along */
async function moveAll(deps: Omit<FinishDeps, 'adoptionOf'>, account: string, roots: Roots): Promise<void> {
  const { authorities, now } = deps;
  await certifyBelowNew(deps, roots, await authoritiesOf(authorities, account));
  for (const document of belowOld(roots, await authoritiesOf(authorities, account), now()))
    if (isCertifiedBy(document, roots.next)) await moveBelow(deps, document.id, roots.next);
  const left = waitingBelow(roots, await authoritiesOf(authorities, account), now());
  rejectIfInForce(left.map(({ id, kind, state }) => ({ authorityId: id, kind, state, certificates: 0 })));
}

/** Name and key stay, so what the CA signed stays good. Server certificates are replaced, chain and all. */
async function moveBelow(
  { authorities, now }: Pick<FinishDeps, 'authorities' | 'now'>,
  id: string,
  root: AuthorityDocument,
): Promise<void> {
  await authorities.update(id, ({ nextCertificate, ...current }) => {
    if (nextCertificate === undefined || !isCertifiedBy({ ...current, nextCertificate }, root))
      return undefined;
    const at = now();
    const { notAfter } = parseCertificatePem(nextCertificate);
    const { certificate, parent, formerCertificates: former = [] } = current;
    const moved: AuthorityDocument = {
      ...current,
      formerCertificates: [...former, { certificate, parent }],
      certificate: nextCertificate,
      parent: root.id,
      notAfter: new Date(notAfter).toISOString(),
      ...(current.kind === 'server'
        ? { replaceUpTo: new Date(Math.floor(at / 1000) * 1000).toISOString() }
        : {}),
    };
    return { document: moved, events: [changedEvent(moved, at, `now below "${root.id}"`)] };
  });
}
