import type { AuthorityState, RevocationReason, SignedStatement } from '@signet/contracts';
import { type Authorities, type AuthorityDocument, changedEvent } from './authority.ts';
import { AuthorityError } from './authority-error.ts';
import { proveIfElsewhere } from './own-root.ts';
import { authoritiesOf, readAuthorities } from './read-authorities.ts';
import type { StatementDeps } from './statement.ts';

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
  refuseFromRevoked(document, state);
  await proveIfElsewhere(
    deps,
    existing,
    { action: actions[state], account, subject: authorityId },
    statement,
  );
  return deps.authorities.update(authorityId, (current) => {
    if (current.state === state) return undefined;
    refuseFromRevoked(current, state);
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

function refuseFromRevoked({ id, state }: AuthorityDocument, wanted: AuthorityState): void {
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
