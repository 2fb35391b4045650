import type { AuthorityState, RevocationReason, SignedStatement } from '@signet/contracts';
import { type Authorities, type AuthorityDocument, AuthorityError, changedEvent } from './authority.ts';
import { authoritiesOf, readAuthorities } from './chains.ts';
import { proveIfExternal } from './external-root.ts';
import { isInForce, ownOfKind } from './issuer-registry.ts';
import { requirePlatform, type StatementDeps } from './statement.ts';

const actions = { active: 'activate', disabled: 'disable', revoked: 'revoke' } as const;

/**
 * Puts a CA out of force, or a disabled one back in; revoked is final (F49). Whoever pins it hears of it by event.
 * Repeating it changes nothing.
 * @throws AuthorityError `unknown-authority`, `illegal-transition`, `statement-…`
 */
export async function setAuthorityState(
  deps: StatementDeps & { readonly authorities: Authorities },
  request: {
    readonly account: string;
    readonly authorityId: string;
    readonly state: AuthorityState;
    readonly reason?: string | undefined;
    /** For `revoked`: what the root's CRL says. */
    readonly revocationReason?: RevocationReason | undefined;
    readonly statement?: SignedStatement | undefined;
    readonly by: string;
  },
): Promise<AuthorityDocument> {
  const { account, authorityId, state, reason, revocationReason, statement, by } = request;
  const existing = await authoritiesOf(deps.authorities, account);
  const document = existing.find(({ id }) => id === authorityId);
  if (document === undefined)
    throw new AuthorityError('unknown-authority', `authorityId: account "${account}" has no such CA`);
  if (document.state === state) return document;
  rejectFromRevoked(document, state);
  await proveIfExternal(deps, existing, { action: actions[state], account, subject: authorityId }, statement);
  return deps.authorities.update(authorityId, (current) => {
    if (current.state === state) return undefined;
    rejectFromRevoked(current, state);
    const { reason: _before, fallBack, ...rest } = current;
    const now = deps.now();
    const next: AuthorityDocument = {
      ...rest,
      state,
      stateSince: new Date(now).toISOString(),
      changedBy: by,
      ...(reason === undefined ? {} : { reason }),
      ...(state === 'active' || fallBack === undefined ? {} : { fallBack }),
      ...(state !== 'revoked' || revocationReason === undefined ? {} : { revocationReason }),
    };
    return { document: next, events: [changedEvent(next, now, reason)] };
  });
}

function rejectFromRevoked({ id, state }: AuthorityDocument, wanted: AuthorityState): void {
  if (state === 'revoked')
    throw new AuthorityError('illegal-transition', `state: CA "${id}" is revoked, it cannot be ${wanted}`);
}

/**
 * Has the services replace the TLS certificates that they got up to now.
 * @returns the end of the second in which it was asked, which is as exact as certificates are, and the CAs
 */
export async function rotateServerCertificates(
  deps: { readonly authorities: Authorities; readonly now: () => number },
  by: string,
): Promise<{ readonly before: string; readonly authorityIds: readonly string[] }> {
  const now = deps.now();
  const before = new Date(Math.floor(now / 1000) * 1000).toISOString();
  const authorityIds: string[] = [];
  for (const { id, kind, state } of await readAuthorities(deps.authorities)) {
    if (kind !== 'server' || state !== 'active') continue;
    await deps.authorities.update(id, (current) => {
      if (current.replaceUpTo !== undefined && current.replaceUpTo >= before) return undefined;
      const next = { ...current, replaceUpTo: before, changedBy: by };
      return { document: next, events: [changedEvent(next, now, 'TLS certificates are to be replaced')] };
    });
    authorityIds.push(id);
  }
  return { before, authorityIds };
}

/**
 * An operator's word that the platform's CA of a kind may issue for an account whose own are out of force, or that it may
 * no longer. It holds for the CAs that there are: another one of the account takes its place, and enabling one ends it.
 * @throws AuthorityError `unknown-authority`, `illegal-transition`, `platform-only`, `statement-…`
 */
export async function setFallBack(
  deps: StatementDeps & { readonly authorities: Authorities },
  request: {
    readonly account: string;
    readonly kind: 'factory' | 'issuing' | 'server';
    readonly allowed: boolean;
    readonly reason?: string | undefined;
    readonly statement?: SignedStatement | undefined;
    readonly byPlatform?: boolean | undefined;
    readonly by: string;
  },
): Promise<readonly AuthorityDocument[]> {
  const { account, kind, allowed, reason, statement, byPlatform, by } = request;
  const existing = await authoritiesOf(deps.authorities, account);
  const own = ownOfKind(existing, kind);
  if (own.length === 0)
    throw new AuthorityError(
      'unknown-authority',
      `kind: account "${account}" never had a CA of kind ${kind} of its own; the platform's serves it`,
    );
  const byId = new Map(existing.map((document) => [document.id, document]));
  const inForce = own.find(
    (document) => isInForce(document, byId) && Date.parse(document.notAfter) > deps.now(),
  );
  if (allowed && inForce !== undefined)
    throw new AuthorityError(
      'illegal-transition',
      `kind: CA "${inForce.id}" of account "${account}" is in force, the platform's cannot serve in its place`,
    );
  const roots = existing.filter((document) => document.kind === 'root' && document.custody === 'elsewhere');
  if (roots.length > 0 && roots.every(({ state }) => state === 'revoked'))
    requirePlatform(
      byPlatform,
      `root: each that account "${account}" kept is revoked and cannot agree; register another, or ask the platform’s administrators`,
    );
  else await proveIfExternal(deps, existing, { action: 'fall-back', account, subject: kind }, statement);
  const changed: AuthorityDocument[] = [];
  for (const { id, state } of own)
    changed.push(
      await deps.authorities.update(id, ({ fallBack, ...current }) => {
        if (allowed === (fallBack !== undefined)) return undefined;
        if (current.state !== state)
          throw new AuthorityError('illegal-transition', `kind: CA "${id}" is ${current.state} now`);
        const at = deps.now();
        const word = { at: new Date(at).toISOString(), by, ...(reason === undefined ? {} : { reason }) };
        const document = { ...current, changedBy: by, ...(allowed ? { fallBack: word } : {}) };
        const what = `the platform's ${kind} CA ${allowed ? 'may' : 'may no longer'} issue in its place`;
        return { document, events: [changedEvent(document, at, what)] };
      }),
    );
  return changed;
}
