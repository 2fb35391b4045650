import { createHash, type KeyObject, sign } from 'node:crypto';
import type { EnvelopedData as CmsEnvelopedData } from 'pkijs';
import type { Certificate } from '../certificate.ts';
import { constructed, TAG } from '../der/tags.ts';
import {
  der,
  nullValue,
  octetString,
  oid,
  owned,
  sequence,
  smallInteger,
  unsignedInteger,
} from '../der/writer.ts';
import { PkiError } from '../pki-error.ts';
import { encodeSignatureAlgorithm, hashOf, signatureAlgorithmFor } from '../signature-algorithm.ts';
import type { ContentCipher } from './decrypt-key.ts';

const SIGNED_DATA = '1.2.840.113549.1.7.2';
const ENVELOPED_DATA = '1.2.840.113549.1.7.3';
const ASYMMETRIC_KEY_PACKAGE = '2.16.840.1.101.2.1.2.78.5';
const CONTENT_TYPE = '1.2.840.113549.1.9.3';
const MESSAGE_DIGEST = '1.2.840.113549.1.9.4';
const SHA256 = '2.16.840.1.101.3.4.2.1';

/** The length is read as well, which the type of Web Crypto's names does not say. */
type AesAlgorithm = Parameters<CmsEnvelopedData['encrypt']>[0];

export type KeyToEnvelop = {
  /** PKCS#8, DER. */
  readonly privateKey: Uint8Array;
  /** Whose RSA or elliptic-curve key can open it. */
  readonly recipient: Certificate;
  readonly cipher: ContentCipher;
  /** Who made the key. */
  readonly signer: { readonly certificate: Certificate; readonly privateKey: KeyObject };
};

/**
 * A private key for its owner alone (RFC 7030 §4.4.2, RFC 5958 §4): EnvelopedData around SignedData around an
 * AsymmetricKeyPackage. RSA keys open it by RSAES-OAEP with SHA-256, elliptic-curve keys by ECDH with SHA-256.
 * Throws `unsupported-key` where the recipient's key can do neither.
 */
export async function encodeEnvelopedKey(input: KeyToEnvelop): Promise<Uint8Array> {
  const keyType = input.recipient.publicKey.asymmetricKeyType;
  if (keyType !== 'rsa' && keyType !== 'ec')
    throw new PkiError('unsupported-key', `recipient: nothing can be encrypted to a key of ${keyType}`);
  const { Certificate: CmsCertificate, ContentInfo, EnvelopedData } = await import('pkijs');
  const length = input.cipher === 'AES-256-CBC' ? 256 : 128;
  const enveloped = new EnvelopedData({ disableSplit: true });
  enveloped.addRecipientByCertificate(CmsCertificate.fromBER(owned(input.recipient.der)), {
    oaepHashAlgorithm: 'SHA-256',
    kdfAlgorithm: 'SHA-256',
    kekEncryptionLength: length,
  });
  const content = owned(signedKeyPackage(input));
  await enveloped.encrypt({ name: 'AES-CBC', length } as AesAlgorithm, content.buffer as ArrayBuffer);
  content.fill(0);
  if (keyType === 'rsa') enveloped.version = 0;
  enveloped.encryptedContentInfo.contentType = SIGNED_DATA;
  const info = new ContentInfo({ contentType: ENVELOPED_DATA, content: enveloped.toSchema() });
  return new Uint8Array(info.toSchema().toBER());
}

/** SignedData of version 3, since its content is not data (RFC 5652 §5.1). */
function signedKeyPackage({ privateKey, signer }: KeyToEnvelop): Uint8Array {
  const keyPackage = sequence(privateKey);
  const digest = createHash('sha256').update(keyPackage).digest();
  const attributes = [
    sequence(oid(CONTENT_TYPE), der(TAG.SET, oid(ASYMMETRIC_KEY_PACKAGE))),
    sequence(oid(MESSAGE_DIGEST), der(TAG.SET, octetString(digest))),
  ].toSorted(Buffer.compare);
  const algorithm = signatureAlgorithmFor(signer.privateKey);
  if (algorithm !== 'ecdsa-with-SHA256' && algorithm !== 'sha256WithRSAEncryption')
    throw new PkiError('unsupported-algorithm', `signer: ${algorithm} does not go with SHA-256`);
  const signature = sign(hashOf(algorithm), der(TAG.SET, ...attributes), signer.privateKey);
  const sha256 = sequence(oid(SHA256), nullValue());
  const { issuerDer, serialNumber } = signer.certificate;
  return sequence(
    smallInteger(3),
    der(TAG.SET, sha256),
    sequence(oid(ASYMMETRIC_KEY_PACKAGE), der(constructed(0), octetString(keyPackage))),
    der(constructed(0), signer.certificate.der),
    der(
      TAG.SET,
      sequence(
        smallInteger(1),
        sequence(issuerDer, unsignedInteger(Buffer.from(serialNumber, 'hex'))),
        sha256,
        der(constructed(0), ...attributes),
        encodeSignatureAlgorithm(algorithm),
        octetString(signature),
      ),
    ),
  );
}
