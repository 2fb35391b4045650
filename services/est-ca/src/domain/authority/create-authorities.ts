import { type AuthorityKind, PLATFORM_ACCOUNT } from '@signet/contracts';
import { type AuthorityKeyType, issuerFrom } from '@signet/pki';
import { isDuplicate } from '@signet/store';
import {
  type Authorities,
  type AuthorityDocument,
  AuthorityError,
  type AuthorityKeys,
  createdEvent,
  type KeyPlace,
} from './authority.ts';
import { authorityName, certifyBelow, certifyRoot, newAuthorityDocument, newAuthorityId } from './certify.ts';
import { authoritiesOf } from './chains.ts';
import { signingCa } from './ensure-hierarchy.ts';
import type { SigningCa } from './issuer-registry.ts';
import { isPending } from './replacement.ts';
import type { AuthorityRequests } from './request-authority.ts';
import type { PublicUrls } from './revocation-urls.ts';
import { revocationUrlsOf } from './revocation-urls.ts';

export type CreateDeps = {
  readonly authorities: Authorities;
  readonly keys: AuthorityKeys;
  /** Where what they sign says that their CRLs are. */
  readonly urls: PublicUrls;
  readonly now: () => number;
};

export type CreateRequest = {
  readonly account: string;
  readonly kinds: readonly Exclude<AuthorityKind, 'root'>[];
  readonly custody?: KeyPlace['custody'] | undefined;
  readonly keyType?: AuthorityKeyType | undefined;
  readonly by: string;
};

/**
 * Makes CAs of an account, below the root that Signet keeps for it; the root first where it has none. Each is a key and
 * then a document with its event; cut off in between, a key is left over that signs nothing.
 * @returns what was made, the root first if it is among them
 * @throws AuthorityError `root-elsewhere` where the account keeps its root itself, `too-many-authorities`,
 * `no-key-store`, `missing-key`
 */
export async function createAuthorities(
  deps: CreateDeps & QuotaDeps,
  request: CreateRequest,
): Promise<readonly AuthorityDocument[]> {
  const { account, kinds, custody, keyType: type, by } = request;
  const existing = await authoritiesOf(deps.authorities, account);
  const known = activeRoot(existing);
  if (known?.custody === 'elsewhere')
    throw new AuthorityError(
      'root-elsewhere',
      `root: account "${account}" keeps the key of "${known.id}" itself; make a request and have it signed there`,
    );
  await requireQuota(deps, account, existing, kinds.length + (known === undefined ? 1 : 0));
  const root = known === undefined ? await makeRoot(deps, request, existing) : await signingRoot(deps, known);
  const made: AuthorityDocument[] = known === undefined ? [root.document] : [];
  for (const kind of kinds) {
    const id = newAuthorityId(account, kind);
    const { signer, ...place } = await deps.keys.openOrCreate(id, { custody, type });
    const now = deps.now();
    const certificate = await certifyBelow(root, {
      kind,
      subject: authorityName(id, account, kind),
      signer,
      now,
      revocationUrls: revocationUrlsOf(deps.urls, root.document.id),
    });
    const document = newAuthorityDocument({
      ...{ id, kind, account, certificate, place, by, now },
      parent: root.document.id,
    });
    await deps.authorities.insert(document, [createdEvent(document)]);
    made.push(document);
  }
  return made;
}

/**
 * The root that certifies an account's new CAs: the newest in force. One that is to replace another does so from the
 * cut-over on: until then not every device has it.
 */
export function activeRoot(documents: readonly AuthorityDocument[]): AuthorityDocument | undefined {
  const roots = documents
    .filter(({ kind, state }) => kind === 'root' && state === 'active')
    .toSorted((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
  const inUse = roots.filter((root) => !isPending(root) || root.replacement?.cutOverAt !== undefined);
  return inUse.at(-1) ?? roots.at(-1);
}

/** A root whose key this service keeps. @throws AuthorityError `missing-key` */
export async function signingRoot(
  { keys }: Pick<CreateDeps, 'keys'>,
  document: AuthorityDocument,
): Promise<SigningCa> {
  const signer = await keys.open(document);
  if (signer !== undefined) return signingCa(document, signer);
  throw new AuthorityError('missing-key', `root: the key of "${document.id}" is not at hand here`);
}

/** Roots are numbered, so that of two that are made at once one stays. */
async function makeRoot(
  deps: CreateDeps,
  { account, custody, keyType: type, by }: CreateRequest,
  existing: readonly AuthorityDocument[],
): Promise<SigningCa> {
  const id = numberedRoot(account, existing);
  const { signer, ...place } = await deps.keys.openOrCreate(id, { custody, type });
  const now = deps.now();
  const subject = authorityName(id, account, 'root');
  const certificate = await certifyRoot({ kind: 'root', subject, signer, now });
  const document = newAuthorityDocument({
    id,
    kind: 'root',
    account,
    certificate,
    parent: id,
    place,
    by,
    now,
  });
  try {
    await deps.authorities.insert(document, [createdEvent(document)]);
    return { document, certificate, signer, issuer: issuerFrom(certificate) };
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    const stored = await deps.authorities.get(id);
    if (stored === undefined) throw error;
    return signingCa(stored, signer);
  }
}

/** `root-<account>-<n>`. */
export function numberedRoot(account: string, existing: readonly AuthorityDocument[]): string {
  const roots = existing.filter(({ kind }) => kind === 'root').length;
  return `root-${account === PLATFORM_ACCOUNT ? 'platform' : account}-${roots + 1}`;
}

export type QuotaDeps = {
  readonly requests: Pick<AuthorityRequests, 'count'>;
  /** How many CAs an account may have on record, revoked ones and open requests among them. */
  readonly maxPerAccount: number;
};

/**
 * Every listener holds every CA in memory, and every replica keeps their CRLs up to date: an account must not have any
 * number of them.
 * @throws AuthorityError `too-many-authorities`
 */
export async function requireQuota(
  { requests, maxPerAccount }: QuotaDeps,
  account: string,
  existing: readonly AuthorityDocument[],
  more = 1,
): Promise<void> {
  const open = await requests.count({ index: 'account', equals: { account } });
  if (existing.length + open + more <= maxPerAccount) return;
  throw new AuthorityError(
    'too-many-authorities',
    `account: "${account}" has ${existing.length} CAs and ${open} requests, at most ${maxPerAccount} are kept`,
  );
}
