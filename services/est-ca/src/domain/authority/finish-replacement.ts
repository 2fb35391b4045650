import type { SignedStatement } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import type { Adoption } from './anchor-adoption.ts';
import { type Authorities, type AuthorityDocument, changedEvent } from './authority.ts';
import { AuthorityError } from './authority-error.ts';
import { proveIfElsewhere } from './own-root.ts';
import { authoritiesOf } from './read-authorities.ts';
import { findReplacement, waitingBelow } from './replace-root.ts';
import type { StatementDeps } from './statement.ts';

export type FinishDeps = StatementDeps & {
  readonly authorities: Authorities;
  readonly adoptionOf: (root: AuthorityDocument) => Promise<Adoption>;
};

export type Finished = {
  readonly root: AuthorityDocument;
  readonly stranded: Adoption;
  readonly strandedAuthorities: readonly string[];
};

const NAMED = 10;

/** How far the replacement of an account's root has come. @throws AuthorityError `no-replacement` */
export async function replacementOf(
  deps: Omit<FinishDeps, keyof StatementDeps>,
  account: string,
): Promise<{
  readonly root: AuthorityDocument;
  readonly waiting: readonly string[];
  readonly adoption: Adoption;
}> {
  const existing = await authoritiesOf(deps.authorities, account);
  const { old, next } = required(account, existing);
  return { root: next, waiting: waitingBelow(old, existing), adoption: await deps.adoptionOf(next) };
}

/**
 * The cut-over: the account's CAs go on under the new root, then the old one is put out of force. Refused while devices
 * lack the new root, or CAs its signature, unless forced; cut off in between, a repetition goes on.
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
  const existing = await authoritiesOf(deps.authorities, account);
  const { old, next } = required(account, existing);
  const stranded = await deps.adoptionOf(next);
  const strandedAuthorities = waitingBelow(old, existing);
  if (!force) refuseIfStranded(stranded, strandedAuthorities);
  await proveIfElsewhere(
    deps,
    existing,
    { action: 'finish-replacement', account, subject: next.id },
    statement,
  );
  for (const { id, parent } of existing)
    if (parent === old.id && id !== old.id) await moveBelow(deps, id, next);
  await deps.authorities.update(old.id, (current) => {
    if (current.state !== 'active') return undefined;
    const reason = `replaced by "${next.id}"`;
    const done = { ...current, state: 'disabled' as const, reason, changedBy: by };
    return { document: done, events: [changedEvent(done, deps.now(), reason)] };
  });
  const root = await deps.authorities.update(next.id, (current) => {
    if (current.replacement === undefined || current.replacement.finishedAt !== undefined) return undefined;
    const finishedAt = new Date(deps.now()).toISOString();
    const done = { ...current, replacement: { ...current.replacement, finishedAt }, changedBy: by };
    return { document: done, events: [changedEvent(done, deps.now(), `took the place of "${old.id}"`)] };
  });
  return { root, stranded, strandedAuthorities };
}

function required(account: string, existing: readonly AuthorityDocument[]) {
  const found = findReplacement(existing);
  if (found !== undefined) return found;
  throw new AuthorityError('no-replacement', `root: none of account "${account}" is being replaced`);
}

function refuseIfStranded({ without, withoutCount }: Adoption, authorities: readonly string[]): void {
  const reasons: string[] = [];
  if (withoutCount > 0) {
    const more = withoutCount > NAMED ? ', …' : '';
    reasons.push(
      `${withoutCount} devices do not have the new root: ${without.slice(0, NAMED).join(', ')}${more}`,
    );
  }
  if (authorities.length > 0) reasons.push(`CAs not certified by the new root: ${authorities.join(', ')}`);
  if (reasons.length > 0) throw new AuthorityError('fleet-not-ready', reasons.join('; '));
}

/** Name and key stay, so what the CA signed stays good. Server certificates are replaced, chain and all. */
async function moveBelow(
  { authorities, now }: FinishDeps,
  id: string,
  root: AuthorityDocument,
): Promise<void> {
  await authorities.update(id, ({ nextCertificate, ...current }) => {
    if (nextCertificate === undefined) return undefined;
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
