import type { SignedStatement } from '@signet/contracts';
import { type Certificate, parseCertificatePem } from '@signet/pki';
import { type Authorities, type AuthorityDocument, AuthorityError } from './authority.ts';
import type { NeededValidity } from './authority-ends.ts';
import {
  checkAuthorityShape,
  checkChain,
  checkSelfSigned,
  readAuthorityCertificate,
  type WantedShape,
} from './authority-shape.ts';
import { newAuthorityDocument, newAuthorityId } from './certify.ts';
import { authoritiesOf } from './chains.ts';
import { activeRoot, numberedRoot, requireQuota } from './create-authorities.ts';
import { type PinDeps, pinAuthority } from './pin-authority.ts';
import { findReplacement, isCutOver } from './replacement.ts';
import type { AuthorityRequests } from './request-authority.ts';
import { type Possession, requirePossession, requireStatement, type StatementDeps } from './statement.ts';

export type ExternalRootDeps = StatementDeps &
  PinDeps & {
    readonly maxPerAccount: number;
    /** What an issuing CA of the account has to outlast. */
    readonly neededValidity: (account: string) => Promise<NeededValidity>;
    readonly authorities: Authorities;
    readonly requests: AuthorityRequests;
  };

type Signed = {
  readonly account: string;
  /** PEM. */
  readonly certificate: string;
  readonly statement?: SignedStatement | undefined;
  readonly by: string;
};

/**
 * Registers the root that an account keeps itself (F54). The statement that proves possession is signed with the very
 * key. Repeating it changes nothing.
 * @throws AuthorityError `bad-certificate`, `root-exists`, `authority-exists`, `statement-…`
 */
export async function registerRoot(deps: ExternalRootDeps, request: Signed): Promise<AuthorityDocument> {
  const { account, statement, by } = request;
  const certificate = readAuthorityCertificate(request.certificate);
  const now = deps.now();
  checkAuthorityShape(certificate, rootShape(now));
  checkSelfSigned(certificate);
  const existing = await authoritiesOf(deps.authorities, account);
  const same = existing.find((document) => document.certificate === certificate.pem());
  if (same !== undefined) return same;
  const other = existing.find(({ kind, state }) => kind === 'root' && state !== 'revoked');
  if (other !== undefined)
    throw new AuthorityError(
      'root-exists',
      `root: account "${account}" has "${other.id}"; replace that one, or revoke it first`,
    );
  await requireQuota(deps, account, existing);
  checkOutlasts(certificate, await deps.neededValidity(account), now);
  const proof = { action: 'register-root', account, subject: certificate.fingerprint } as const;
  await requireStatement(deps, [{ id: 'new', certificate: certificate.pem() }], proof, statement);
  const id = numberedRoot(account, existing);
  const place = { custody: 'elsewhere' } as const;
  return pinAuthority(
    deps,
    newAuthorityDocument({ id, kind: 'root', account, certificate, parent: id, place, by, now }),
  );
}

/**
 * Takes the certificate of a requested CA (F46): its key has to be one that was requested, and the account's root must
 * have signed it. The request is closed after; repeating the upload changes nothing.
 * @throws AuthorityError `bad-certificate`, `does-not-chain`, `foreign-key`, `no-root`, `authority-exists`, `statement-…`
 */
export async function uploadAuthority(deps: ExternalRootDeps, request: Signed): Promise<AuthorityDocument> {
  const { account, statement, by } = request;
  const certificate = readAuthorityCertificate(request.certificate);
  const existing = await authoritiesOf(deps.authorities, account);
  const known = existing.find((document) => document.certificate === certificate.pem());
  if (known !== undefined) {
    await deps.requests.remove(known.id);
    return known;
  }
  const root = requireRoot(account, existing);
  const { items } = await deps.requests.find({
    index: 'key',
    equals: { account, publicKeyHash: certificate.publicKeyHash },
  });
  const [waiting] = items;
  if (waiting === undefined)
    throw new AuthorityError(
      'foreign-key',
      `certificate: its key is not that of any request of account "${account}"`,
    );
  const { id, kind, custody, keyUri } = waiting;
  const now = deps.now();
  const purpose = kind === 'server' ? 'servers' : 'clients';
  checkAuthorityShape(certificate, { purpose, below: 'leaves', mustSignCrls: true, isStrict: true, now });
  const signedBy = existing.find(
    ({ kind: itsKind, state, subjectKeyId }) =>
      itsKind === 'root' && state === 'active' && subjectKeyId === certificate.authorityKeyId,
  );
  const parent = signedBy ?? root;
  const replacement = findReplacement(existing);
  if (replacement !== undefined && isCutOver(replacement) && parent.id === replacement.old.id)
    throw new AuthorityError(
      'does-not-chain',
      `certificate: issuer: "${parent.id}" gives way to "${replacement.next.id}" now; have that one sign`,
    );
  checkChain(certificate, parseCertificatePem(parent.certificate));
  if (kind === 'issuing') checkOutlasts(certificate, await deps.neededValidity(account), now);
  const proof = { action: 'upload', account, subject: certificate.fingerprint } as const;
  await proveIfExternal(deps, existing, proof, statement);
  const place = keyUri === undefined ? { custody } : { custody, keyUri };
  const document = await pinAuthority(
    deps,
    newAuthorityDocument({ id, kind, account, certificate, parent: parent.id, place, by, now }),
  );
  await deps.requests.remove(id);
  return document;
}

/**
 * Adds a CA whose key the account keeps (F48, F49): it may stand below the root or below another CA of the account. The
 * root vouches for the CA; that its key is the account's is proven by that key itself, or anybody could certify the key
 * of somebody else's CA and keep that one out.
 * @throws AuthorityError `bad-certificate`, `does-not-chain`, `no-root`, `authority-exists`, `platform-only`, `statement-…`
 */
export async function addAuthority(
  deps: ExternalRootDeps,
  request: Signed & Possession & { readonly kind: 'factory' | 'issuing' },
): Promise<AuthorityDocument> {
  const { account, kind, statement, by } = request;
  const certificate = readAuthorityCertificate(request.certificate);
  const existing = await authoritiesOf(deps.authorities, account);
  const known = existing.find((document) => document.certificate === certificate.pem());
  if (known !== undefined) return known;
  const root = requireRoot(account, existing);
  const now = deps.now();
  checkAuthorityShape(certificate, {
    ...{ purpose: 'clients', below: 'any', mustSignCrls: false, isStrict: false, now },
  });
  const parent = parentOf(certificate, existing) ?? root;
  const issuer = parseCertificatePem(parent.certificate);
  checkChain(certificate, issuer);
  if (issuer.basicConstraints?.pathLen === 0)
    throw new AuthorityError(
      'does-not-chain',
      `certificate: pathLen of "${parent.id}" allows no CA below it`,
    );
  await requireQuota(deps, account, existing);
  const proof = { action: 'add', account, subject: certificate.fingerprint } as const;
  const possession = await requirePossession(deps, certificate, proof, request);
  await proveIfExternal(deps, existing, proof, statement);
  const id = newAuthorityId(account, kind);
  const place = { custody: 'elsewhere' } as const;
  const described = newAuthorityDocument({
    id,
    kind,
    account,
    certificate,
    parent: parent.id,
    place,
    by,
    now,
  });
  const document = { ...described, possession };
  return pinAuthority(deps, kind === 'factory' ? { ...document, firstContact: 'waits' } : document);
}

/** A root signs CAs, and the CRL that lists them. */
export function rootShape(now: number): WantedShape {
  return { purpose: 'both', below: 'authorities', mustSignCrls: true, isStrict: true, now };
}

/** A certificate is never shortened in silence: the CA that is to give it has to outlast it. */
export function checkOutlasts(
  { notAfter }: Certificate,
  { profile, days }: NeededValidity,
  now: number,
): void {
  if (notAfter >= now + days * 86_400_000) return;
  throw new AuthorityError(
    'bad-certificate',
    `certificate: notAfter ${new Date(notAfter).toISOString()} is sooner than the ${days} days that profile "${profile}" gives`,
  );
}

/** The roots that may vouch for a change, asked for a statement where the account keeps its root itself (F44). */
export async function proveIfExternal(
  deps: StatementDeps,
  existing: readonly AuthorityDocument[],
  proof: Parameters<typeof requireStatement>[2],
  statement: SignedStatement | undefined,
): Promise<void> {
  const own = existing.filter(({ kind, custody }) => kind === 'root' && custody === 'elsewhere');
  if (own.length === 0) return;
  const vouching = own.filter(({ state }) => state !== 'revoked');
  await requireStatement(deps, vouching, proof, statement);
}

/** @throws AuthorityError `no-root` */
export function requireRoot(account: string, existing: readonly AuthorityDocument[]): AuthorityDocument {
  const root = activeRoot(existing);
  if (root !== undefined) return root;
  throw new AuthorityError('no-root', `root: account "${account}" has registered none that is in force`);
}

function parentOf(certificate: Certificate, existing: readonly AuthorityDocument[]) {
  return existing.find(
    ({ state, subjectKeyId, certificate: pem }) =>
      state === 'active' &&
      (certificate.authorityKeyId === undefined || certificate.authorityKeyId === subjectKeyId) &&
      Buffer.compare(parseCertificatePem(pem).subjectDer, certificate.issuerDer) === 0,
  );
}
