import { createPublicKey, generateKeyPairSync, hash, type KeyObject } from 'node:crypto';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { owned, sequence } from './der/writer.ts';
import { PkiError } from './pki-error.ts';
import { modulusWeakness } from './rsa-modulus.ts';

/** Kinds of key that a policy can allow; `RSA` is RSA of 2048 to 8192 bits. */
export const keyKinds = ['P-256', 'P-384', 'Ed25519', 'RSA'] as const;
export type KeyKind = (typeof keyKinds)[number];

/** A key's kind, with its size where that is open. */
export type KeyType = 'P-256' | 'P-384' | 'Ed25519' | `RSA-${number}`;

/** What a SubjectPublicKeyInfo says of its key. */
export type KeyFacts = {
  readonly kind: KeyKind;
  readonly type: KeyType;
  /** Content of subjectPublicKey, without the count of unused bits. */
  readonly bits: Uint8Array;
  /** RSA only: why the key must not be certified. */
  readonly weakness?: string;
};

const PARAMETERS = 'subjectPublicKeyInfo parameters';
const EC_PUBLIC_KEY = '1.2.840.10045.2.1';
const RSA_ENCRYPTION = '1.2.840.113549.1.1.1';
const ED25519 = '1.3.101.112';
const curves = new Map<string, { readonly kind: 'P-256' | 'P-384'; readonly bytes: number }>([
  ['1.2.840.10045.3.1.7', { kind: 'P-256', bytes: 32 }],
  ['1.3.132.0.34', { kind: 'P-384', bytes: 48 }],
]);
const otherKeys = new Map([
  ['1.3.132.0.35', 'P-521'],
  ['1.3.132.0.10', 'secp256k1'],
  ['1.3.132.0.33', 'P-224'],
  ['1.2.840.10045.3.1.1', 'P-192'],
  ['1.3.36.3.3.2.8.1.1.7', 'brainpoolP256r1'],
  ['1.3.101.110', 'X25519'],
  ['1.3.101.111', 'X448'],
  ['1.3.101.113', 'Ed448'],
  ['1.2.840.10040.4.1', 'DSA'],
  ['1.2.840.113549.1.1.10', 'RSASSA-PSS'],
]);

const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;

/** AlgorithmIdentifier of an RSA key without parameters, and as the RFC has it (RFC 3279 §2.3.1). */
const RSA_WITHOUT_NULL = Buffer.from('300b06092a864886f70d010101', 'hex');
const RSA_WITH_NULL = Buffer.from('300d06092a864886f70d0101010500', 'hex');

/**
 * A SubjectPublicKeyInfo in the one encoding that names its key: some leave the NULL out that an RSA key has for
 * parameters. All others are as they came.
 */
export function canonicalSpki(spkiDer: Uint8Array): Uint8Array {
  const at = 2 + ((spkiDer[1] ?? 0) >= 0x80 ? (spkiDer[1] ?? 0) & 0x7f : 0);
  if (Buffer.compare(spkiDer.subarray(at, at + RSA_WITHOUT_NULL.length), RSA_WITHOUT_NULL) !== 0)
    return spkiDer;
  return owned(sequence(RSA_WITH_NULL, spkiDer.subarray(at + RSA_WITHOUT_NULL.length)));
}

/**
 * Reads a SubjectPublicKeyInfo. Each key has one encoding only (named curve, uncompressed point; for RSA see
 * {@link canonicalSpki}), so that a hash of it names the key. Throws `unsupported-key`, naming what it found.
 */
export function parseKey(spkiDer: Uint8Array): KeyFacts {
  const field = 'subjectPublicKeyInfo';
  const reader = DerReader.sequence(spkiDer, field);
  const algorithm = reader.enter(TAG.SEQUENCE, field);
  const dotted = algorithm.oid(field);
  if (dotted === EC_PUBLIC_KEY) {
    if (algorithm.peek() !== TAG.OID)
      throw new PkiError(
        'unsupported-key',
        `${field}: an elliptic curve that is not named (RFC 5480 §2.1.1)`,
      );
    const curveOid = algorithm.oid(field);
    const curve = curves.get(curveOid);
    if (curve === undefined)
      throw new PkiError(
        'unsupported-key',
        `${field}: curve ${otherKeys.get(curveOid) ?? curveOid} is not supported`,
      );
    const bits = readBits(reader, algorithm, field);
    if (bits.length !== 1 + 2 * curve.bytes || bits[0] !== 0x04)
      throw new PkiError(
        'unsupported-key',
        `${field}: a ${curve.kind} point that is not in uncompressed form`,
      );
    return { kind: curve.kind, type: curve.kind, bits };
  }
  if (dotted === ED25519) {
    const bits = readBits(reader, algorithm, field);
    if (bits.length !== 32)
      throw new PkiError('malformed', `${field}: an Ed25519 key of ${bits.length} bytes`);
    return { kind: 'Ed25519', type: 'Ed25519', bits };
  }
  if (dotted === RSA_ENCRYPTION) {
    if (!algorithm.atEnd) algorithm.null(PARAMETERS);
    return rsaFacts(readBits(reader, algorithm, field));
  }
  throw new PkiError(
    'unsupported-key',
    `${field}: ${otherKeys.get(dotted) ?? `algorithm ${dotted}`} is not supported`,
  );
}

function readBits(reader: DerReader, algorithm: DerReader, field: string): Uint8Array {
  algorithm.finish(PARAMETERS);
  const bits = reader.bitString(field);
  reader.finish(field);
  return bits;
}

function rsaFacts(bits: Uint8Array): KeyFacts {
  const reader = DerReader.sequence(bits, 'RSAPublicKey');
  const modulus = positive(reader, 'RSA modulus');
  const exponent = positive(reader, 'RSA exponent');
  reader.finish('RSAPublicKey');
  const size = modulus.length * 8 - (Math.clz32(modulus[0] as number) - 24);
  const weakness = rsaWeakness(size, modulus, exponent);
  return { kind: 'RSA', type: `RSA-${size}`, bits, ...(weakness === undefined ? {} : { weakness }) };
}

function positive(reader: DerReader, field: string): Uint8Array {
  const content = reader.integer(field);
  const first = content[0] as number;
  if (first >= 0x80 || (first === 0 && content.length === 1))
    throw new PkiError('malformed', `${field}: not positive`);
  return first === 0 ? content.subarray(1) : content;
}

/** NIST SP 800-89 §5.3.3 asks for an odd exponent above 2^16; an even modulus has a known factor. */
function rsaWeakness(size: number, modulus: Uint8Array, exponent: Uint8Array): string | undefined {
  if (size < MIN_RSA_BITS) return `RSA of ${size} bits, at least ${MIN_RSA_BITS} are needed`;
  if (size > MAX_RSA_BITS) return `RSA of ${size} bits, at most ${MAX_RSA_BITS} are accepted`;
  if (((modulus[modulus.length - 1] as number) & 1) === 0) return 'an RSA modulus that is even';
  if (((exponent[exponent.length - 1] as number) & 1) === 0) return 'an RSA exponent that is even';
  if (exponent.length > 8) return 'an RSA exponent of more than 64 bits';
  const value = BigInt(`0x${Buffer.from(exponent).toString('hex')}`);
  return value < 65537n ? `an RSA exponent of ${value}, at least 65537 is needed` : undefined;
}

function modulusOf(bits: Uint8Array): Uint8Array {
  return positive(DerReader.sequence(bits, 'RSAPublicKey'), 'RSA modulus');
}

/** Refuses a weak key (`weak-key`) and one whose kind is not in `allowed` (`unsupported-key`), naming it. */
export function checkKey(key: KeyFacts, allowed: readonly KeyKind[] = keyKinds): void {
  if (!allowed.includes(key.kind))
    throw new PkiError(
      'unsupported-key',
      `key: ${key.type} is not allowed; allowed are ${allowed.join(', ')}`,
    );
  const weakness = key.weakness ?? (key.kind === 'RSA' ? modulusWeakness(modulusOf(key.bits)) : undefined);
  if (weakness !== undefined) throw new PkiError('weak-key', `key: ${weakness}`);
}

/**
 * Loads a public key. By way of PEM: node hands that to OpenSSL's own reader of public keys, which takes a third
 * of the time that its generic decoder takes for DER. Throws `unsupported-key`.
 */
export function loadPublicKey(spkiDer: Uint8Array): KeyObject {
  const base64 = Buffer.from(spkiDer.buffer, spkiDer.byteOffset, spkiDer.length).toString('base64');
  try {
    return createPublicKey(`-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----\n`);
  } catch (cause) {
    throw new PkiError('unsupported-key', 'subjectPublicKeyInfo: a key that cannot be loaded', { cause });
  }
}

/** DER of the SubjectPublicKeyInfo of a key, public or private. */
export function exportSpki(key: KeyObject): Uint8Array {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
}

/** SHA-256 of the SubjectPublicKeyInfo, lower-case hex: the name of a key everywhere in Signet. */
export function publicKeyHash(spkiDer: Uint8Array): string {
  return hash('sha256', canonicalSpki(spkiDer), 'hex');
}

/** Subject key identifier: the leftmost 160 bits of SHA-256 over the key's bits (RFC 7093 §2 method 1). */
export function keyIdentifier(bits: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', bits, 'buffer').subarray(0, 20));
}

/** What keys of CAs are made as. */
export const authorityKeyTypes = ['P-256', 'P-384', 'RSA-3072', 'RSA-4096'] as const;
export type AuthorityKeyType = (typeof authorityKeyTypes)[number];

export type KeyPair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };

/** Makes a key pair. RSA takes a tenth of a second and more, and blocks for as long. */
export function generateKeyPair(
  type: 'P-256' | 'P-384' | 'Ed25519' | 'RSA-2048' | 'RSA-3072' | 'RSA-4096',
): KeyPair {
  if (type === 'P-256' || type === 'P-384') return generateKeyPairSync('ec', { namedCurve: type });
  if (type === 'Ed25519') return generateKeyPairSync('ed25519');
  return generateKeyPairSync('rsa', { modulusLength: Number(type.slice(4)) });
}
