import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { ATTRIBUTE } from './csr.ts';
import { constructed, TAG } from './der/tags.ts';
import { bitString, der, oid, owned, printable, sequence, smallInteger, utf8 } from './der/writer.ts';
import { keyUsageExtension, type NamesToEncode, subjectAltNameExtension } from './encode-extensions.ts';
import type { KeyUsage } from './extensions.ts';
import { exportSpki } from './keys.ts';
import { encodeName, isPrintable, type Name } from './name.ts';
import { encodeSignatureAlgorithm, hashOf, signatureAlgorithmFor } from './signature-algorithm.ts';

export type CsrRequest = {
  /** Who the certificate is for; or `subjectDer`, the bytes to keep, as a renewal does. */
  readonly subject?: Name;
  readonly subjectDer?: Uint8Array;
  readonly privateKey: KeyObject;
  readonly challengePassword?: string;
  readonly sans?: NamesToEncode;
  readonly keyUsage?: readonly KeyUsage[];
};

/** Makes a certification request (RFC 2986), signed with its own key: DER. */
export function createCsr(request: CsrRequest): Uint8Array {
  const {
    subject = {},
    subjectDer = encodeName(subject),
    privateKey,
    challengePassword,
    sans = {},
    keyUsage,
  } = request;
  const names = subjectAltNameExtension(sans);
  const extensions = [
    ...(keyUsage === undefined ? [] : [keyUsageExtension(keyUsage)]),
    ...(names === undefined ? [] : [names]),
  ];
  const attributes: Uint8Array[] = [];
  if (challengePassword !== undefined) {
    const text = isPrintable(challengePassword) ? printable(challengePassword) : utf8(challengePassword);
    attributes.push(attribute(ATTRIBUTE.challengePassword, text));
  }
  if (extensions.length > 0) attributes.push(attribute(ATTRIBUTE.extensionRequest, sequence(...extensions)));

  const publicKey = createPublicKey(privateKey);
  const algorithm = signatureAlgorithmFor(publicKey);
  const info = sequence(
    smallInteger(0),
    subjectDer,
    exportSpki(publicKey),
    der(constructed(0), ...attributes),
  );
  const signature = sign(hashOf(algorithm), info, privateKey);
  return owned(sequence(info, encodeSignatureAlgorithm(algorithm), bitString(signature)));
}

function attribute(dotted: string, value: Uint8Array): Uint8Array {
  return sequence(oid(dotted), der(TAG.SET, value));
}
