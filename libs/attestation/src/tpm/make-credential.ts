import {
  constants,
  createCipheriv,
  createHmac,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { AttestationError } from '../attestation-error.ts';
import { ALG, type HashName, hashOf } from './algorithms.ts';
import { kdfA, kdfE } from './key-derivation.ts';
import { join, sized } from './writer.ts';

/** The endorsement key, with the hash and cipher of its template. */
export type EndorsementKey = {
  readonly publicKey: KeyObject;
  /** TPM_ALG_ID. */
  readonly nameAlg: number;
  /** Bits of AES. */
  readonly symmetricBits: number;
};

/** Input of TPM2_ActivateCredential. */
export type Credential = {
  /** TPM2B_ID_OBJECT. */
  readonly credentialBlob: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET. */
  readonly encryptedSecret: Uint8Array;
};

/**
 * The hash and cipher of an endorsement key, which its certificate does not say: those of the templates that go with
 * its key (TCG EK Credential Profile 2.5 §B.3, B.4).
 * @throws AttestationError `unsupported-algorithm`
 */
export function endorsementKeyOf(publicKey: KeyObject): EndorsementKey {
  const { modulusLength, namedCurve } = publicKey.asymmetricKeyDetails ?? {};
  const kind = publicKey.asymmetricKeyType === 'rsa' ? `RSA-${modulusLength}` : (namedCurve ?? '');
  if (kind === 'RSA-2048' || kind === 'prime256v1')
    return { publicKey, nameAlg: ALG.SHA256, symmetricBits: 128 };
  if (kind === 'RSA-3072' || kind === 'secp384r1')
    return { publicKey, nameAlg: ALG.SHA384, symmetricBits: 256 };
  throw new AttestationError(
    'unsupported-algorithm',
    `endorsement key: ${kind || 'its kind'} is not supported`,
  );
}

/**
 * Encrypts a secret that only the TPM with that endorsement key can open, and only while it holds the object of that
 * name (TPM2_MakeCredential, Part 1 §24).
 */
export function makeCredential(
  endorsement: EndorsementKey,
  name: Uint8Array,
  secret: Uint8Array,
): Credential {
  const { name: hash, bytes } = hashOf(endorsement.nameAlg, 'endorsement key: nameAlg');
  const { seed, encryptedSecret } =
    endorsement.publicKey.asymmetricKeyType === 'rsa'
      ? rsaSeed(endorsement.publicKey, hash, bytes)
      : eccSeed(endorsement.publicKey, hash, bytes);
  const key = kdfA(hash, seed, 'STORAGE', name, endorsement.symmetricBits);
  const cipher = createCipheriv(`aes-${endorsement.symmetricBits}-cfb`, key, Buffer.alloc(16));
  const identity = join(cipher.update(sized(secret)), cipher.final());
  const macKey = kdfA(hash, seed, 'INTEGRITY', new Uint8Array(), bytes * 8);
  const mac = createHmac(hash, macKey).update(identity).update(name).digest();
  return { credentialBlob: sized(sized(mac), identity), encryptedSecret };
}

type Seed = { readonly seed: Uint8Array; readonly encryptedSecret: Uint8Array };

/** Part 1 §B.10.3. */
function rsaSeed(key: KeyObject, oaepHash: HashName, bytes: number): Seed {
  const seed = new Uint8Array(randomBytes(bytes));
  const oaepLabel = Buffer.from('IDENTITY\0', 'ascii');
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return { seed, encryptedSecret: sized(publicEncrypt({ key, padding, oaepHash, oaepLabel }, seed)) };
}

/** Part 1 §C.6.3: one pass of ECDH with a fresh key. */
function eccSeed(publicKey: KeyObject, hash: HashName, bytes: number): Seed {
  const namedCurve = publicKey.asymmetricKeyDetails?.namedCurve ?? '';
  const ephemeral = generateKeyPairSync('ec', { namedCurve });
  const z = diffieHellman({ privateKey: ephemeral.privateKey, publicKey });
  const own = pointOf(ephemeral.publicKey);
  const seed = kdfE(hash, z, 'IDENTITY', { u: own.x, v: pointOf(publicKey).x }, bytes * 8);
  return { seed, encryptedSecret: sized(sized(own.x), sized(own.y)) };
}

function pointOf(key: KeyObject): { readonly x: Uint8Array; readonly y: Uint8Array } {
  const { x = '', y = '' } = key.export({ format: 'jwk' });
  return { x: Buffer.from(x, 'base64url'), y: Buffer.from(y, 'base64url') };
}
