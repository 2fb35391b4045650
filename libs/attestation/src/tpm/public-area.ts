import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { exportSpki } from '@signet/pki';
import { AttestationError } from '../attestation-error.ts';
import { ALG, CURVE, hashOf, unsupported } from './algorithms.ts';
import { TpmReader } from './reader.ts';
import { join, u16 } from './writer.ts';

/** A TPMT_PUBLIC of an asymmetric key (Part 2 §12.2.4). */
export type PublicArea = {
  /** As it was marshalled. */
  readonly bytes: Uint8Array;
  readonly type: 'RSA' | 'ECC';
  /** TPM_ALG_ID of the hash that names the object. */
  readonly nameAlg: number;
  /** TPMA_OBJECT. */
  readonly attributes: number;
  /** TPM_ALG_ID of the signing scheme; `ALG.NULL` where each signature chooses. */
  readonly scheme: number;
  /** Key size of the storage cipher, AES; 0 where the key is no parent. */
  readonly symmetricBits: number;
  readonly publicKey: KeyObject;
  readonly spkiDer: Uint8Array;
};

const FIELD = 'public area';

/**
 * Reads a TPMT_PUBLIC.
 * @throws AttestationError `malformed`, `unsupported-algorithm`
 */
export function parsePublicArea(bytes: Uint8Array): PublicArea {
  const reader = new TpmReader(bytes, FIELD);
  const type = reader.u16('type');
  if (type !== ALG.RSA && type !== ALG.ECC) throw unsupported(`${FIELD}: type`, 'object', type);
  const nameAlg = reader.u16('nameAlg');
  hashOf(nameAlg, `${FIELD}: nameAlg`);
  const attributes = reader.u32('objectAttributes');
  reader.sized('authPolicy', 64);
  const symmetricBits = readSymmetric(reader);
  const scheme = readScheme(reader);
  const publicKey = type === ALG.RSA ? readRsa(reader) : readEcc(reader);
  reader.finish();
  return {
    bytes: Uint8Array.prototype.slice.call(bytes),
    type: type === ALG.RSA ? 'RSA' : 'ECC',
    nameAlg,
    attributes,
    scheme,
    symmetricBits,
    publicKey,
    spkiDer: exportSpki(publicKey),
  };
}

/** The Name of an object: its hash's id, and the hash of its public area (Part 1 §16). */
export function nameOf({ bytes, nameAlg }: Pick<PublicArea, 'bytes' | 'nameAlg'>): Uint8Array {
  const { name } = hashOf(nameAlg, `${FIELD}: nameAlg`);
  return join(u16(nameAlg), createHash(name).update(bytes).digest());
}

/** TPMT_SYM_DEF_OBJECT. */
function readSymmetric(reader: TpmReader): number {
  const algorithm = reader.u16('symmetric');
  if (algorithm === ALG.NULL) return 0;
  if (algorithm !== ALG.AES) throw unsupported(`${FIELD}: symmetric`, 'cipher', algorithm);
  const bits = reader.u16('symmetric keyBits');
  if (bits !== 128 && bits !== 256) throw reader.malformed('symmetric keyBits', `${bits}`);
  const mode = reader.u16('symmetric mode');
  if (mode !== ALG.CFB) throw unsupported(`${FIELD}: symmetric mode`, 'mode', mode);
  return bits;
}

const hashedSchemes: ReadonlySet<number> = new Set([ALG.RSASSA, ALG.RSAPSS, ALG.OAEP, ALG.ECDSA]);

/** TPMT_RSA_SCHEME, TPMT_ECC_SCHEME. */
function readScheme(reader: TpmReader): number {
  const scheme = reader.u16('scheme');
  if (hashedSchemes.has(scheme)) reader.u16('scheme hash');
  else if (scheme !== ALG.NULL && scheme !== ALG.RSAES)
    throw unsupported(`${FIELD}: scheme`, 'scheme', scheme);
  return scheme;
}

function readRsa(reader: TpmReader): KeyObject {
  const bits = reader.u16('keyBits');
  const exponent = reader.u32('exponent') || 65_537;
  const modulus = reader.sized('unique', 512);
  if (modulus.length * 8 !== bits)
    throw reader.malformed('unique', `${modulus.length} bytes for an RSA key of ${bits} bits`);
  const e = Buffer.from(
    exponent
      .toString(16)
      .padStart(8, '0')
      .replace(/^(00)+/, ''),
    'hex',
  );
  return loaded({ kty: 'RSA', n: base64url(modulus), e: base64url(e) });
}

const curves = new Map<number, { readonly crv: 'P-256' | 'P-384'; readonly octets: number }>([
  [CURVE.P256, { crv: 'P-256', octets: 32 }],
  [CURVE.P384, { crv: 'P-384', octets: 48 }],
]);

function readEcc(reader: TpmReader): KeyObject {
  const id = reader.u16('curveID');
  const kdf = reader.u16('kdf');
  if (kdf !== ALG.NULL) throw unsupported(`${FIELD}: kdf`, 'scheme', kdf);
  const curve = curves.get(id);
  if (curve === undefined) throw unsupported(`${FIELD}: curveID`, 'curve', id);
  const x = reader.sized('unique x', curve.octets);
  const y = reader.sized('unique y', curve.octets);
  const coordinate = (value: Uint8Array) =>
    base64url(join(new Uint8Array(curve.octets - value.length), value));
  return loaded({ kty: 'EC', crv: curve.crv, x: coordinate(x), y: coordinate(y) });
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

function loaded(key: import('node:crypto').JsonWebKey): KeyObject {
  try {
    return createPublicKey({ key, format: 'jwk' });
  } catch (cause) {
    throw new AttestationError('malformed', `${FIELD}: unique: no such public key`, { cause });
  }
}
