import { type KeyObject, verify } from 'node:crypto';
import type { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { nullValue, oid, sequence } from './der/writer.ts';
import { PkiError } from './pki-error.ts';
import type { SignatureAlgorithmName } from './signer/signer.ts';

/** Signature algorithms that are verified; CA keys sign with a part of them (`SignatureAlgorithmName`). */
export type KnownSignatureAlgorithm =
  | SignatureAlgorithmName
  | 'ecdsa-with-SHA512'
  | 'sha384WithRSAEncryption'
  | 'sha512WithRSAEncryption';

/** An AlgorithmIdentifier of a signature; `name` is missing where the algorithm is not known. */
export type SignatureAlgorithm = { readonly oid: string; readonly name?: KnownSignatureAlgorithm };

type Traits = {
  readonly oid: string;
  readonly keyType: 'ec' | 'rsa' | 'ed25519';
  readonly hash: string | null;
};

const traits: Record<KnownSignatureAlgorithm, Traits> = {
  'ecdsa-with-SHA256': { oid: '1.2.840.10045.4.3.2', keyType: 'ec', hash: 'sha256' },
  'ecdsa-with-SHA384': { oid: '1.2.840.10045.4.3.3', keyType: 'ec', hash: 'sha384' },
  'ecdsa-with-SHA512': { oid: '1.2.840.10045.4.3.4', keyType: 'ec', hash: 'sha512' },
  Ed25519: { oid: '1.3.101.112', keyType: 'ed25519', hash: null },
  sha256WithRSAEncryption: { oid: '1.2.840.113549.1.1.11', keyType: 'rsa', hash: 'sha256' },
  sha384WithRSAEncryption: { oid: '1.2.840.113549.1.1.12', keyType: 'rsa', hash: 'sha384' },
  sha512WithRSAEncryption: { oid: '1.2.840.113549.1.1.13', keyType: 'rsa', hash: 'sha512' },
};

const byOid = new Map(
  Object.entries(traits).map(([name, { oid: dotted }]) => [dotted, name as KnownSignatureAlgorithm]),
);

/**
 * Reads the AlgorithmIdentifier that comes next. Parameters of a known algorithm must be as its specification
 * has them: NULL for RSA, or absent, which must be taken as well (RFC 4055 §5); absent for ECDSA (RFC 5758 §3.2) and
 * Ed25519 (RFC 8410 §3). `toleratesNull`: ECDSA may have NULL, as tpm2-openssl 1.1 writes it into requests that a TPM
 * signs.
 */
export function readSignatureAlgorithm(
  reader: DerReader,
  field: string,
  { toleratesNull = false }: { readonly toleratesNull?: boolean } = {},
): SignatureAlgorithm {
  const identifier = reader.enter(TAG.SEQUENCE, field);
  const dotted = identifier.oid(field);
  const name = byOid.get(dotted);
  if (name === undefined) {
    if (!identifier.atEnd) identifier.any(field);
    identifier.finish(field);
    return { oid: dotted };
  }
  const parameters = 'parameters of the signature algorithm';
  const { keyType } = traits[name];
  const mayBeNull = keyType === 'rsa' || (keyType === 'ec' && toleratesNull);
  if (mayBeNull && !identifier.atEnd) identifier.null(parameters);
  identifier.finish(parameters);
  return { oid: dotted, name };
}

/** DER of the AlgorithmIdentifier. */
export function encodeSignatureAlgorithm(name: KnownSignatureAlgorithm): Uint8Array {
  const { oid: dotted, keyType } = traits[name];
  return keyType === 'rsa' ? sequence(oid(dotted), nullValue()) : sequence(oid(dotted));
}

/** The hash that goes with the algorithm in `crypto.sign` and `crypto.verify`; null for Ed25519. */
export function hashOf(name: KnownSignatureAlgorithm): string | null {
  return traits[name].hash;
}

/** Whether the key is of the kind that signs under this algorithm. */
export function isKeyFor(name: KnownSignatureAlgorithm, key: KeyObject): boolean {
  return key.asymmetricKeyType === traits[name].keyType;
}

/** Whether `signature` over `data` is one of `key` under exactly this algorithm. An unknown algorithm verifies nothing. */
export function verifySignature(
  algorithm: SignatureAlgorithm,
  data: Uint8Array,
  signature: Uint8Array,
  key: KeyObject,
): boolean {
  if (algorithm.name === undefined) return false;
  const { keyType, hash } = traits[algorithm.name];
  if (key.asymmetricKeyType !== keyType) return false;
  return verify(hash, data, key, signature);
}

/** The algorithm that a CA key of this kind signs with. */
export function signatureAlgorithmFor(key: KeyObject): SignatureAlgorithmName {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType === 'ec' && curve === 'prime256v1') return 'ecdsa-with-SHA256';
  if (key.asymmetricKeyType === 'ec' && curve === 'secp384r1') return 'ecdsa-with-SHA384';
  if (key.asymmetricKeyType === 'ed25519') return 'Ed25519';
  if (key.asymmetricKeyType === 'rsa') return 'sha256WithRSAEncryption';
  throw new PkiError(
    'unsupported-key',
    `key: ${curve ?? key.asymmetricKeyType ?? 'a secret'} cannot sign certificates`,
  );
}
