import type { SignedStatement } from '@signet/contracts';
import { type Authorities, type AuthorityDocument, changedEvent } from './authority.ts';
import { AuthorityError } from './authority-error.ts';
import { ownOfKind } from './own-kind.ts';
import { proveIfElsewhere } from './own-root.ts';
import { requirePlatform } from './possession.ts';
import { authoritiesOf } from './read-authorities.ts';
import { isInForce } from './ring.ts';
import type { StatementDeps } from './statement.ts';

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
  else await proveIfElsewhere(deps, existing, { action: 'fall-back', account, subject: kind }, statement);
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
