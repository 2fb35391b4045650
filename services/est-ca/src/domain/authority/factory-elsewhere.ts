import type { FirstContact, SignedStatement } from '@signet/contracts';
import { type Authorities, type AuthorityDocument, changedEvent } from './authority.ts';
import { AuthorityError } from './authority-error.ts';
import { checkAuthorityShape, readAuthorityCertificate } from './authority-shape.ts';
import { describeNew, newAuthorityId } from './new-authority.ts';
import { insertAuthority, proveIfElsewhere } from './own-root.ts';
import { authoritiesOf } from './read-authorities.ts';
import { requireStatement, type StatementDeps } from './statement.ts';

type Deps = StatementDeps & { readonly authorities: Authorities };

/**
 * Registers the CA of a manufacturer (F48), below whatever root: the certificate alone is pinned. It is a change of
 * the account's PKI as well: where the account keeps its root itself, that has to agree (F44). Repeating it changes
 * nothing.
 * @throws AuthorityError `bad-certificate`, `authority-exists`, `statement-…`
 */
export async function registerFactoryAuthority(
  deps: Deps,
  request: {
    readonly account: string;
    /** PEM. */
    readonly certificate: string;
    readonly firstContact: FirstContact;
    /** Signed with the key of the CA itself. */
    readonly statement?: SignedStatement | undefined;
    /** Why that is not asked for. */
    readonly waiver?: string | undefined;
    /** Signed with the key of the account's root. */
    readonly rootStatement?: SignedStatement | undefined;
    readonly by: string;
  },
): Promise<AuthorityDocument> {
  const { account, firstContact, statement, waiver, rootStatement, by } = request;
  const certificate = readAuthorityCertificate(request.certificate);
  const existing = await authoritiesOf(deps.authorities, account);
  const known = existing.find((document) => document.certificate === certificate.pem());
  if (known !== undefined) return known;
  const now = deps.now();
  checkAuthorityShape(certificate, { purpose: 'clients', below: 'any', mustSignCrls: false, now });
  const proof = { action: 'register-factory', account, subject: certificate.fingerprint } as const;
  if (waiver === undefined)
    await requireStatement(deps, [{ id: 'new', certificate: certificate.pem() }], proof, statement);
  await proveIfElsewhere(deps, existing, proof, rootStatement);
  const id = newAuthorityId(account, 'factory');
  const place = { custody: 'elsewhere' } as const;
  const document = describeNew({ id, kind: 'factory', account, certificate, parent: id, place, by, now });
  return insertAuthority(deps, { ...document, firstContact });
}

/**
 * Changes what happens to devices of a manufacturer's CA that nobody announced.
 * @throws AuthorityError `unknown-authority`, `not-a-factory-elsewhere`
 */
export async function setFirstContact(
  deps: Pick<Deps, 'authorities' | 'now'>,
  request: {
    readonly account: string;
    readonly authorityId: string;
    readonly firstContact: FirstContact;
    readonly by: string;
  },
): Promise<AuthorityDocument> {
  const { account, authorityId, firstContact, by } = request;
  const existing = await authoritiesOf(deps.authorities, account);
  const found = existing.find(({ id }) => id === authorityId);
  if (found === undefined)
    throw new AuthorityError('unknown-authority', `authorityId: account "${account}" has no such CA`);
  if (found.kind !== 'factory' || found.custody !== 'elsewhere')
    throw new AuthorityError(
      'not-a-factory-elsewhere',
      `authorityId: "${authorityId}" is no factory CA whose key is elsewhere`,
    );
  return deps.authorities.update(authorityId, (current) => {
    if (current.firstContact === firstContact) return undefined;
    const next = { ...current, firstContact, changedBy: by };
    return { document: next, events: [changedEvent(next, deps.now(), `first contact: ${firstContact}`)] };
  });
}
