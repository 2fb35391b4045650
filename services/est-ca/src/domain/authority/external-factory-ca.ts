import type { FirstContact, SignedStatement } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { type AuthorityDocument, AuthorityError, changedEvent } from './authority.ts';
import { checkAuthorityShape, readAuthorityCertificate } from './authority-shape.ts';
import { newAuthorityDocument, newAuthorityId } from './certify.ts';
import { authoritiesOf } from './chains.ts';
import { type QuotaDeps, requireQuota } from './create-authorities.ts';
import { proveIfExternal } from './external-root.ts';
import { type PinDeps, pinAuthority, pinsOf } from './pin-authority.ts';
import { type Possession, requirePlatform, requirePossession, type StatementDeps } from './statement.ts';

type Deps = StatementDeps & PinDeps & QuotaDeps;

type Registration = Omit<Possession, 'possession'> & {
  readonly account: string;
  /** PEM. */
  readonly certificate: string;
  readonly firstContact: FirstContact;
  /** Signed with the key of the CA itself. */
  readonly statement?: SignedStatement | undefined;
  /** Signed with the key of the account's root. */
  readonly rootStatement?: SignedStatement | undefined;
  readonly by: string;
};

/**
 * Registers the CA of a manufacturer (F48), below whatever root: the certificate alone is pinned. It is a change of
 * the account's PKI as well: where the account keeps its root itself, that has to agree (F44). Another account may have
 * it pinned too; a claim decides then. Repeating it changes nothing but that a proof of possession may follow.
 * @throws AuthorityError `bad-certificate`, `authority-exists`, `too-many-authorities`, `platform-only`, `statement-…`
 */
export async function registerFactoryAuthority(
  deps: Deps,
  request: Registration,
): Promise<AuthorityDocument> {
  const { account, firstContact, statement, rootStatement, by } = request;
  const certificate = readAuthorityCertificate(request.certificate);
  const existing = await authoritiesOf(deps.authorities, account);
  const proof = { action: 'register-factory', account, subject: certificate.fingerprint } as const;
  const shown: Possession = { ...request, possession: statement };
  const known = existing.find((document) => document.certificate === certificate.pem());
  if (known !== undefined) {
    if (known.possession === 'proven' || statement === undefined) return known;
    const possession = await requirePossession(deps, certificate, proof, shown);
    return deps.authorities.update(known.id, (current) => ({ document: { ...current, possession } }));
  }
  const now = deps.now();
  checkAuthorityShape(certificate, {
    purpose: 'clients',
    below: 'any',
    mustSignCrls: false,
    isStrict: false,
    now,
  });
  await requireQuota(deps, account, existing);
  const possession = await requirePossession(deps, certificate, proof, shown);
  await proveIfExternal(deps, existing, proof, rootStatement);
  const id = newAuthorityId(account, 'factory');
  const place = { custody: 'elsewhere' } as const;
  const described = newAuthorityDocument({
    id,
    kind: 'factory',
    account,
    certificate,
    parent: id,
    place,
    by,
    now,
  });
  const document = await pinAuthority(deps, { ...described, firstContact, possession }, request.byPlatform);
  await tellAgain(deps, document);
  return document;
}

/** Listeners denied all of a CA that one account had put out of force: what another pins is that account's to decide. */
async function tellAgain(
  { authorities, now }: Deps,
  { id, subjectKeyId, account }: AuthorityDocument,
): Promise<void> {
  for (const pin of await pinsOf(authorities, subjectKeyId))
    if (pin.id !== id && pin.account !== account && pin.state !== 'active')
      await authorities.update(pin.id, (current) => ({
        document: current,
        events: [changedEvent(current, now(), current.reason)],
      }));
}

/**
 * Changes what happens to devices of a manufacturer's CA that nobody announced. That a first contact counts as a claim
 * is for whoever proved to have the CA's key, or the platform, to say.
 * @throws AuthorityError `unknown-authority`, `not-a-factory-elsewhere`, `platform-only`
 */
export async function setFirstContact(
  deps: Pick<Deps, 'authorities' | 'now'>,
  request: {
    readonly account: string;
    readonly authorityId: string;
    readonly firstContact: FirstContact;
    readonly byPlatform?: boolean | undefined;
    readonly by: string;
  },
): Promise<AuthorityDocument> {
  const { account, authorityId, firstContact, byPlatform, by } = request;
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
    if (firstContact === 'claimed' && current.possession !== 'proven')
      requirePlatform(
        byPlatform,
        `firstContact: the account has not proven to have the key of "${nameOf(current)}"; register it again with a statement, or ask the platform’s administrators`,
      );
    const next = { ...current, firstContact, changedBy: by };
    return { document: next, events: [changedEvent(next, deps.now(), `first contact: ${firstContact}`)] };
  });
}

function nameOf({ id, certificate }: AuthorityDocument): string {
  return parseCertificatePem(certificate).subject.commonName ?? id;
}
