import { type BinaryLike, hash } from 'node:crypto';
import { Account, Fingerprint, KeyId, Time } from '@signet/contracts';
import { type Certificate, parseCertificatePem, parseKey } from '@signet/pki';
import { type Collection, type CollectionSpec, isDuplicate } from '@signet/store';
import { z } from 'zod';
import { type Authorities, type AuthorityDocument, AuthorityError, createdEvent } from './authority.ts';
import { authoritiesOf } from './chains.ts';

/**
 * Which key a key id means, on this platform: the deny list and every listener name CAs by it. One id is one key and one
 * key has one id, whoever pins it. Its document id is the key id.
 */
export const AuthorityKey = z.object({
  id: KeyId,
  publicKeyHash: Fingerprint,
  /** The account that alone may pin it; absent for an external factory CA, which any number of accounts may pin. */
  holder: Account.optional(),
  at: Time,
});
export type AuthorityKey = z.infer<typeof AuthorityKey>;

export const authorityKeys: CollectionSpec<AuthorityKey, 'key'> = {
  name: 'est-ca.authority-keys',
  schema: AuthorityKey,
  indexes: { key: { fields: ['publicKeyHash'], unique: true } },
};

export type PinDeps = {
  readonly authorities: Authorities;
  readonly authorityKeys: Collection<AuthorityKey, 'key'>;
  readonly now: () => number;
};

/** A key id of which no CA is on record after so long is left over from a call that was cut off. */
const LEFT_OVER_MS = 60_000;

/** Several accounts may pin one external factory CA: a claim decides whose a device is. */
export function isShareable({ kind, custody }: Pick<AuthorityDocument, 'kind' | 'custody'>): boolean {
  return kind === 'factory' && custody === 'elsewhere';
}

/** All pins of the CA with this key id, of whatever account. */
export async function pinsOf(
  authorities: Pick<Authorities, 'find'>,
  subjectKeyId: string,
): Promise<readonly AuthorityDocument[]> {
  const documents: AuthorityDocument[] = [];
  let cursor: string | undefined;
  do {
    const page = await authorities.find({
      ...{ index: 'anyKeyId', equals: { subjectKeyId }, limit: 1000 },
      ...(cursor === undefined ? {} : { cursor }),
    });
    documents.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined);
  return documents;
}

/**
 * Puts a CA on record whose certificate came from outside. Its key must not be pinned in the account already, and its
 * key id must fit its key: be no other key's, on record or by its digest, and the only one that the key has.
 * @param byPlatform whether the platform's administrators vouch for a key id of a method that is not known
 * @throws AuthorityError `authority-exists`, `bad-certificate`
 */
export async function pinAuthority(
  deps: PinDeps,
  document: AuthorityDocument,
  byPlatform = false,
): Promise<AuthorityDocument> {
  const { authorities } = deps;
  const certificate = parseCertificatePem(document.certificate);
  const own = await authoritiesOf(authorities, document.account);
  const twin = own.find(({ certificate: pem }) => keyOf(pem) === certificate.publicKeyHash);
  if (twin !== undefined) throw taken(`certificate: its key is that of CA "${twin.id}" already`);
  for (const other of await pinsOf(authorities, document.subjectKeyId)) {
    if (keyOf(other.certificate) !== certificate.publicKeyHash)
      throw taken(`subjectKeyIdentifier: ${document.subjectKeyId} is that of another CA, with another key`);
    if (!isShareable(other) || !isShareable(document))
      throw taken(`subjectKeyIdentifier: ${document.subjectKeyId} is that of another CA`);
  }
  await claimKeyId(deps, document, certificate, byPlatform);
  try {
    await authorities.insert(document, [createdEvent(document)]);
    return document;
  } catch (cause) {
    if (!isDuplicate(cause)) throw cause;
    throw taken(`subjectKeyIdentifier: ${document.subjectKeyId} is that of another CA`, cause);
  }
}

/** What is checked above is held here against whoever pins at the same time. */
async function claimKeyId(
  { authorities, authorityKeys: keys, now }: PinDeps,
  document: AuthorityDocument,
  certificate: Certificate,
  byPlatform: boolean,
): Promise<void> {
  const { publicKeyHash } = certificate;
  const wanted: AuthorityKey = {
    ...{ id: document.subjectKeyId, publicKeyHash, at: new Date(now()).toISOString() },
    ...(isShareable(document) ? {} : { holder: document.account }),
  };
  for (let attempt = 0; attempt < 3; attempt++) {
    const known = await keyOnRecord(keys, wanted);
    if (known === undefined && !byPlatform && isForeignDigest(certificate))
      throw new AuthorityError(
        'bad-certificate',
        `certificate: subjectKeyIdentifier: ${wanted.id} has the length of a digest, and is none of its key (RFC 5280 §4.2.1.2, RFC 7093); a factory CA with it is for the platform’s administrators to register`,
      );
    try {
      return await keys.insert(wanted);
    } catch (error) {
      if (!isDuplicate(error)) throw error;
    }
    const other = await keyOnRecord(keys, wanted);
    if (other === undefined) continue;
    const isSame =
      other.id === wanted.id && other.publicKeyHash === publicKeyHash && other.holder === wanted.holder;
    if (isSame) return;
    const isLeftOver =
      Date.parse(other.at) < now() - LEFT_OVER_MS && (await pinsOf(authorities, other.id)).length === 0;
    if (!isLeftOver)
      throw taken(
        other.id === wanted.id
          ? `subjectKeyIdentifier: ${wanted.id} is that of another CA`
          : `subjectKeyIdentifier: the key of this CA is known by ${other.id}, not by ${wanted.id}`,
      );
    await keys.remove(other.id);
  }
  throw taken(`subjectKeyIdentifier: ${wanted.id} is being pinned by somebody else; try again`);
}

async function keyOnRecord(
  keys: PinDeps['authorityKeys'],
  { id, publicKeyHash }: AuthorityKey,
): Promise<AuthorityKey | undefined> {
  const byId = await keys.get(id);
  if (byId !== undefined) return byId;
  const { items } = await keys.find({ index: 'key', equals: { publicKeyHash }, limit: 1 });
  return items[0];
}

function keyOf(pem: string): string {
  return parseCertificatePem(pem).publicKeyHash;
}

function taken(message: string, cause?: unknown): AuthorityError {
  return new AuthorityError('authority-exists', message, { cause });
}

/** Bytes of a key id that looks like a digest of a key: SHA-1, or whichever hash cut to as much, and whole ones. */
const DIGESTS: ReadonlySet<number> = new Set([20, 32, 48, 64]);
const HASHES = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
const CUT = 20;

/**
 * Whether a key id is the digest of another key than its own: as long as one by RFC 5280 §4.2.1.2 (1) or RFC 7093, and
 * by none of their methods that of this key. One id is one key here, so whoever takes the digest of a key that is not
 * his keeps its CA out. Ids of other lengths are names that somebody chose.
 */
export function isForeignDigest({
  spkiDer,
  subjectKeyId = '',
}: Pick<Certificate, 'spkiDer' | 'subjectKeyId'>) {
  if (!DIGESTS.has(subjectKeyId.length / 2)) return false;
  const of: readonly BinaryLike[] = [parseKey(spkiDer).bits, spkiDer];
  const own = of.flatMap((bytes) => HASHES.map((name) => hash(name, bytes, 'hex')));
  return !own.some((digest) => digest === subjectKeyId || digest.slice(0, 2 * CUT) === subjectKeyId);
}
