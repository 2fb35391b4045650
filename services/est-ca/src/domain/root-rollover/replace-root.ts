import type { SignedStatement } from '@signet/contracts';
import { type Certificate, issueCross, issueRoot, parseCertificatePem, recertify } from '@signet/pki';
import { type AuthorityDocument, AuthorityError, changedEvent } from '../authority/authority.ts';
import type { NeededValidity } from '../authority/authority-ends.ts';
import {
  checkAuthorityShape,
  checkChain,
  checkSelfSigned,
  readAuthorityCertificate,
} from '../authority/authority-shape.ts';
import { keyTypeLike, newAuthorityDocument } from '../authority/certify.ts';
import { authoritiesOf } from '../authority/chains.ts';
import { type CreateDeps, numberedRoot, signingRoot } from '../authority/create-authorities.ts';
import { checkOutlasts, requireRoot, rootShape } from '../authority/external-root.ts';
import { type PinDeps, pinAuthority } from '../authority/pin-authority.ts';
import {
  belowOld,
  findLeftBehind,
  findReplacement,
  isCertifiedBy,
  type Roots,
  waitingBelow,
} from '../authority/replacement.ts';
import { revocationUrlsOf } from '../authority/revocation-urls.ts';
import { requireStatement, type StatementDeps } from '../authority/statement.ts';

export type ReplaceDeps = CreateDeps & StatementDeps & PinDeps;
type BeginDeps = ReplaceDeps & { readonly neededValidity: (account: string) => Promise<NeededValidity> };

/** What an account sends that keeps its root itself. PEM. */
export type ExternalReplacement = {
  readonly certificate: string;
  readonly oldWithNew: string;
  readonly newWithOld: string;
  readonly recertified: readonly { readonly authorityId: string; readonly certificate: string }[];
};

export type ReplaceRequest = {
  readonly account: string;
  readonly own?: ExternalReplacement | undefined;
  readonly statement?: SignedStatement | undefined;
  readonly by: string;
};

type Replacement = { readonly root: AuthorityDocument; readonly waiting: readonly string[] };

/**
 * Begins to replace a root (F85): the new one goes on under the old one's name with another key, each key certified by
 * the other root, so that whoever has either of them finds a way. The account's CAs are certified anew, name and key
 * unchanged; those certificates wait for the cut-over. Repeating it completes what an interrupted call left, and takes
 * what an earlier replacement left behind below the root that it replaced.
 * @throws AuthorityError `no-root`, `root-elsewhere`, `replacement-exists`, `bad-certificate`, `does-not-chain`,
 * `statement-…`
 */
export async function replaceRoot(deps: BeginDeps, request: ReplaceRequest): Promise<Replacement> {
  const { account, own } = request;
  const existing = await authoritiesOf(deps.authorities, account);
  const now = deps.now();
  const roots =
    findReplacement(existing) ?? leftFor(own, existing, now) ?? (await begin(deps, request, existing));
  if (own === undefined) await certifyBelowNew(deps, roots, existing);
  else await takeRecertified(deps, request, own, roots, existing);
  const after = await authoritiesOf(deps.authorities, account);
  return { root: roots.next, waiting: waitingBelow(roots, after, now).map(({ id }) => id) };
}

/** An owner who sends the root in force again certifies what was left below the one before it. */
function leftFor(own: ExternalReplacement | undefined, existing: readonly AuthorityDocument[], now: number) {
  const left = own === undefined ? undefined : findLeftBehind(existing, now);
  if (own === undefined || left === undefined) return undefined;
  return readAuthorityCertificate(own.certificate).pem() === left.next.certificate ? left : undefined;
}

async function begin(
  deps: BeginDeps,
  request: ReplaceRequest,
  existing: readonly AuthorityDocument[],
): Promise<Roots> {
  const { account, own, by } = request;
  const old = requireRoot(account, existing);
  const id = numberedRoot(account, existing);
  const now = deps.now();
  const replacement = { replaces: old.id, since: new Date(now).toISOString() };
  const isExternal = old.custody === 'elsewhere';
  if (isExternal && own === undefined)
    throw new AuthorityError('root-elsewhere', `root: "${old.id}" is kept by the account; send the new one`);
  const made =
    own !== undefined
      ? readOwn(own, old, await deps.neededValidity(account), now)
      : await makeOwn(deps, old, id, now);
  if (isExternal) {
    const proof = { action: 'replace-root', account, subject: made.certificate.fingerprint } as const;
    await requireStatement(deps, [old], proof, request.statement);
  }
  const next: AuthorityDocument = {
    ...newAuthorityDocument({
      id,
      kind: 'root',
      account,
      parent: id,
      by,
      now,
      certificate: made.certificate,
      place: made.place,
    }),
    replacement,
    crossCertificates: { oldWithNew: made.oldWithNew.pem(), newWithOld: made.newWithOld.pem() },
  };
  try {
    await pinAuthority(deps, next);
  } catch (cause) {
    if (!(cause instanceof AuthorityError) || (await deps.authorities.get(id)) === undefined) throw cause;
    throw new AuthorityError('replacement-exists', `root: "${old.id}" is being replaced already`, { cause });
  }
  return { old, next };
}

async function makeOwn(deps: ReplaceDeps, old: AuthorityDocument, id: string, now: number) {
  const before = await signingRoot(deps, old);
  const custody = old.custody === 'pkcs11' ? 'pkcs11' : 'file';
  const { signer, ...place } = await deps.keys.openOrCreate(id, {
    custody,
    type: keyTypeLike(before.certificate),
  });
  const { subjectDer: subject, notAfter } = before.certificate;
  const certificate = await issueRoot({ subject, signer, issuedAt: now, notAfter });
  return {
    certificate,
    oldWithNew: await issueCross(
      { certificate, signer },
      before.certificate,
      now,
      revocationUrlsOf(deps.urls, id),
    ),
    newWithOld: await issueCross(before, certificate, now, revocationUrlsOf(deps.urls, old.id)),
    place,
  };
}

function readOwn(
  own: ExternalReplacement,
  oldDocument: AuthorityDocument,
  needed: NeededValidity,
  now: number,
) {
  const old = parseCertificatePem(oldDocument.certificate);
  const certificate = readAuthorityCertificate(own.certificate);
  checkAuthorityShape(certificate, rootShape(now));
  checkSelfSigned(certificate);
  checkOutlasts(certificate, needed, now);
  if (Buffer.compare(certificate.subjectDer, old.subjectDer) !== 0)
    throw new AuthorityError('bad-certificate', 'certificate: subject must be that of the root it replaces');
  if (certificate.publicKeyHash === old.publicKeyHash)
    throw new AuthorityError('bad-certificate', 'certificate: its key is that of the root it replaces');
  const oldWithNew = readCross(own.oldWithNew, 'oldWithNew', old, certificate);
  const newWithOld = readCross(own.newWithOld, 'newWithOld', certificate, old);
  return { certificate, oldWithNew, newWithOld, place: { custody: 'elsewhere' } as const };
}

function readCross(pem: string, field: string, subject: Certificate, issuer: Certificate): Certificate {
  const cross = readAuthorityCertificate(pem);
  if (!certifiesSame(cross, subject))
    throw new AuthorityError(
      'bad-certificate',
      `${field}: name, key and key identifier must be those of the root`,
    );
  if (cross.basicConstraints?.ca !== true || cross.basicConstraints.pathLen === 0)
    throw new AuthorityError('bad-certificate', `${field}: basicConstraints must allow a CA below it`);
  checkChain(cross, issuer, true);
  return cross;
}

function certifiesSame(one: Certificate, other: Certificate): boolean {
  return (
    Buffer.compare(one.subjectDer, other.subjectDer) === 0 &&
    one.publicKeyHash === other.publicKeyHash &&
    one.subjectKeyId === other.subjectKeyId
  );
}

/** Certifies by the new root whatever it has not certified yet, where this service keeps it. */
export async function certifyBelowNew(
  deps: Pick<ReplaceDeps, 'authorities' | 'keys' | 'urls' | 'now'>,
  roots: Roots,
  existing: readonly AuthorityDocument[],
): Promise<void> {
  const { next } = roots;
  const waiting = waitingBelow(roots, existing, deps.now());
  if (waiting.length === 0 || next.custody === 'elsewhere') return;
  const root = await signingRoot(deps, next);
  for (const { id, certificate: pem } of waiting) {
    const revocationUrls = revocationUrlsOf(deps.urls, next.id);
    const certificate = await recertify(root, parseCertificatePem(pem), deps.now(), revocationUrls);
    await keepNext(deps, id, next, pem, certificate);
  }
}

async function takeRecertified(
  deps: BeginDeps,
  { account, statement }: ReplaceRequest,
  own: ExternalReplacement,
  roots: Roots,
  existing: readonly AuthorityDocument[],
): Promise<void> {
  const { old, next } = roots;
  const below = belowOld(roots, existing, deps.now());
  const needed = await deps.neededValidity(account);
  const root = parseCertificatePem(next.certificate);
  if (readAuthorityCertificate(own.certificate).fingerprint !== root.fingerprint)
    throw new AuthorityError('replacement-exists', `root: "${old.id}" is being replaced by "${next.id}"`);
  const found = own.recertified.map(({ authorityId, certificate: pem }) => {
    const document = below.find(({ id }) => id === authorityId);
    if (document === undefined)
      throw new AuthorityError('bad-certificate', `recertified: "${authorityId}" is no CA below "${old.id}"`);
    const certificate = readAuthorityCertificate(pem);
    const before = parseCertificatePem(document.certificate);
    if (!certifiesSame(certificate, before))
      throw new AuthorityError(
        'bad-certificate',
        `recertified: name, key and key identifier of "${authorityId}" must stay as they are`,
      );
    const shape = { below: 'any', mustSignCrls: true, isStrict: true, now: deps.now() } as const;
    checkAuthorityShape(certificate, {
      ...shape,
      purpose: document.kind === 'server' ? 'servers' : 'clients',
    });
    checkChain(certificate, root);
    if (document.kind === 'issuing') checkOutlasts(certificate, needed, deps.now());
    return { document, certificate };
  });
  const isLater = existing.some(({ id }) => id === next.id);
  if (isLater && found.length > 0) {
    const proof = { action: 'replace-root', account, subject: root.fingerprint } as const;
    await requireStatement(deps, [old, next], proof, statement);
  }
  for (const { document, certificate } of found)
    await keepNext(deps, document.id, next, document.certificate, certificate);
}

async function keepNext(
  { authorities, now }: Pick<ReplaceDeps, 'authorities' | 'now'>,
  id: string,
  root: AuthorityDocument,
  before: string,
  certificate: Certificate,
): Promise<void> {
  await authorities.update(id, (current) => {
    // another call moved it meanwhile
    if (current.certificate !== before || isCertifiedBy(current, root)) return undefined;
    const next = { ...current, nextCertificate: certificate.pem() };
    return { document: next, events: [changedEvent(next, now(), `certified by "${root.id}" too`)] };
  });
}
