import { createCipheriv, type KeyObject, randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { octetString, oid, sequence, smallInteger } from '../der/writer.ts';

const PBES2 = '1.2.840.113549.1.5.13';
const SCRYPT = '1.3.6.1.4.1.11591.4.11';
const AES_256_CBC = '2.16.840.1.101.3.4.1.42';

/** 16 MiB and about 50 ms for each try; what `openssl pkcs8 -scrypt` uses too. */
const COST = { N: 16_384, r: 8, p: 1 } as const;

const derive = promisify<string, Uint8Array, number, typeof COST, Buffer>(scrypt);

/**
 * PEM of a private key as EncryptedPrivateKeyInfo (RFC 5958 §3): PBES2 (RFC 8018 §6.2) with scrypt (RFC 7914 §7.1)
 * and AES-256-CBC. `KeyObject.export` would derive the key by 2048 rounds of PBKDF2, too few for a passphrase that
 * a person chose.
 */
export async function encryptKey(key: KeyObject, passphrase: string): Promise<string> {
  const salt = randomBytes(16);
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', await derive(passphrase, salt, 32, COST), iv);
  const encrypted = Buffer.concat([
    cipher.update(key.export({ format: 'der', type: 'pkcs8' })),
    cipher.final(),
  ]);
  const derivation = sequence(
    oid(SCRYPT),
    sequence(octetString(salt), smallInteger(COST.N), smallInteger(COST.r), smallInteger(COST.p)),
  );
  const encryption = sequence(oid(AES_256_CBC), octetString(iv));
  const info = sequence(sequence(oid(PBES2), sequence(derivation, encryption)), octetString(encrypted));
  const lines = Buffer.from(info)
    .toString('base64')
    .replace(/.{1,64}/g, '$&\n');
  return `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${lines}-----END ENCRYPTED PRIVATE KEY-----\n`;
}
