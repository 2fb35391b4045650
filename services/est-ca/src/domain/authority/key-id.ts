import { type BinaryLike, hash } from 'node:crypto';
import { type Certificate, parseKey } from '@signet/pki';

/** Octets of a key id that looks like a digest of a key: SHA-1, or whichever hash cut to as much, and whole ones. */
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
  const own = of.flatMap((octets) => HASHES.map((name) => hash(name, octets, 'hex')));
  return !own.some((digest) => digest === subjectKeyId || digest.slice(0, 2 * CUT) === subjectKeyId);
}
