import {
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  diffieHellman,
  ECDH,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { loadPublicKey } from './keys.ts';
import { PkiError } from './pki-error.ts';

const POINT = 65;
const IV = 16;
const TAG = 32;

/**
 * Encrypts a config value to a device's P-256 key, as the device gateway's clients read it: ECIES with an ephemeral key;
 * K = SHA-256(00000001 ‖ Z), AES-128-CTR under its first half, HMAC-SHA-256 of IV and ciphertext under the SHA-256 of its
 * second half. Base64 of R (uncompressed) ‖ IV ‖ ciphertext ‖ tag.
 * @param spkiDer the device's public key
 * @throws PkiError `unsupported-key` where it is not on P-256
 */
export function encryptConfigValue(spkiDer: Uint8Array, value: Uint8Array): string {
  const key = loadPublicKey(spkiDer);
  demandP256(key);
  const ephemeral = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const point = ephemeral.publicKey.export({ format: 'der', type: 'spki' }).subarray(-POINT);
  const { encryption, authentication } = keysOf(
    diffieHellman({ privateKey: ephemeral.privateKey, publicKey: key }),
  );
  const iv = randomBytes(IV);
  const cipher = createCipheriv('aes-128-ctr', encryption, iv);
  const sealed = Buffer.concat([iv, cipher.update(value), cipher.final()]);
  const tag = createHmac('sha256', authentication).update(sealed).digest();
  return Buffer.concat([point, sealed, tag]).toString('base64');
}

/** The X coordinate of a private key times a point (uncompressed). A key in a TPM or token does it there. */
export type Agree = (point: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/**
 * The inverse of {@link encryptConfigValue}.
 * @throws PkiError `malformed` where it is no such value, or not for this key
 */
export async function decryptConfigValue(agree: Agree, value: string): Promise<Uint8Array> {
  const bytes = Buffer.from(value, 'base64');
  if (!isEncryptedConfigValue(value)) throw new PkiError('malformed', 'value: not encrypted to a P-256 key');
  const sealed = bytes.subarray(POINT, -TAG);
  const point = bytes.subarray(0, POINT);
  demandOnCurve(point);
  const { encryption, authentication } = keysOf(Buffer.from(await agree(point)));
  const tag = createHmac('sha256', authentication).update(sealed).digest();
  if (!timingSafeEqual(tag, bytes.subarray(-TAG)))
    throw new PkiError('malformed', 'value: it is for another key, or was changed');
  const decipher = createDecipheriv('aes-128-ctr', encryption, sealed.subarray(0, IV));
  return Buffer.concat([decipher.update(sealed.subarray(IV)), decipher.final()]);
}

/** The agreement of {@link decryptConfigValue} with a private key in memory. */
export function agreeWith(privateKey: KeyObject): (point: Uint8Array) => Uint8Array {
  const { d } = privateKey.export({ format: 'jwk' });
  if (d === undefined) throw new PkiError('unsupported-key', 'key: not a private P-256 key');
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(d, 'base64url');
  return (point) => ecdh.computeSecret(point);
}

/** Whether it has the form of an encrypted value; nothing is decrypted. */
export function isEncryptedConfigValue(value: string): boolean {
  if (value.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(value)) return false;
  const bytes = Buffer.from(value, 'base64');
  return bytes.length > POINT + IV + TAG && bytes[0] === 4;
}

function keysOf(agreed: Buffer) {
  const key = createHash('sha256')
    .update(Buffer.from([0, 0, 0, 1]))
    .update(agreed)
    .digest();
  return {
    encryption: key.subarray(0, 16),
    authentication: createHash('sha256').update(key.subarray(16, 32)).digest(),
  };
}

/** No holder of a key is asked about a point that would give something of the key away. */
function demandOnCurve(point: Uint8Array): void {
  try {
    ECDH.convertKey(point, 'prime256v1');
  } catch (cause) {
    throw new PkiError('malformed', 'value: its key is no point of P-256', { cause });
  }
}

function demandP256(key: KeyObject): void {
  const { namedCurve } = key.asymmetricKeyDetails ?? {};
  if (namedCurve !== 'prime256v1')
    throw new PkiError('unsupported-key', 'key: config values are encrypted to P-256 keys only');
}
