import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { ATTRIBUTE } from './csr.ts';
import { constructed, TAG } from './der/tags.ts';
import { bitString, der, oid, owned, printable, sequence, smallInteger, utf8 } from './der/writer.ts';
import {
  authorityConstraintsExtension,
  extKeyUsageExtension,
  keyUsageExtension,
  type NamesToEncode,
  subjectAltNameExtension,
} from './encode-extensions.ts';
import type { KeyUsage } from './extensions.ts';
import { exportSpki, publicKeyHash } from './keys.ts';
import { encodeName, isPrintable, type Name } from './name.ts';
import { PkiError } from './pki-error.ts';
import {
  encodeSignatureAlgorithm,
  hashOf,
  type KnownSignatureAlgorithm,
  signatureAlgorithmFor,
  verifySignature,
} from './signature-algorithm.ts';
import type { Signer } from './signer/signer.ts';

export type CsrRequest = {
  /** Who the certificate is for; or `subjectDer`, the bytes to keep, as a renewal does. */
  readonly subject?: Name;
  readonly subjectDer?: Uint8Array;
  readonly privateKey: KeyObject;
  readonly challengePassword?: string;
  readonly sans?: NamesToEncode;
  readonly keyUsage?: readonly KeyUsage[];
  /** By default the usual one of the key. */
  readonly signatureAlgorithm?: KnownSignatureAlgorithm;
  /** OIDs. */
  readonly extKeyUsage?: readonly string[];
  /** Other attributes, each with one value in DER. */
  readonly attributes?: readonly { readonly oid: string; readonly value: Uint8Array }[];
};

/** Makes a certification request (RFC 2986), signed with its own key: DER. */
export function createCsr(request: CsrRequest): Uint8Array {
  const { privateKey } = request;
  const publicKey = createPublicKey(privateKey);
  const algorithm = request.signatureAlgorithm ?? signatureAlgorithmFor(publicKey);
  const info = requestInfo(subjectOf(request), publicKey, attributesOf(request));
  return assembled(info, algorithm, sign(hashOf(algorithm), info, privateKey));
}

/**
 * The same, signed by a key that does not leave its holder.
 * @throws PkiError `signer-failed` where the signer fails, or signs with another key
 */
export async function createCsrBy(
  signer: Signer,
  request: Omit<CsrRequest, 'privateKey' | 'signatureAlgorithm'>,
): Promise<Uint8Array> {
  const info = requestInfo(subjectOf(request), signer.publicKey, attributesOf(request));
  return assembled(info, signer.algorithm, await signedBy(signer, info));
}

type Asked = Omit<CsrRequest, 'privateKey' | 'signatureAlgorithm'>;

function subjectOf({ subject = {}, subjectDer = encodeName(subject) }: Asked): Uint8Array {
  return subjectDer;
}

function attributesOf(request: Asked): readonly Uint8Array[] {
  const { challengePassword, sans = {}, keyUsage, extKeyUsage } = request;
  const names = subjectAltNameExtension(sans);
  const extensions = [
    ...(keyUsage === undefined ? [] : [keyUsageExtension(keyUsage)]),
    ...(extKeyUsage === undefined ? [] : [extKeyUsageExtension(...extKeyUsage)]),
    ...(names === undefined ? [] : [names]),
  ];
  const attributes = (request.attributes ?? []).map(({ oid: dotted, value }) => attribute(dotted, value));
  if (challengePassword !== undefined) {
    const text = isPrintable(challengePassword) ? printable(challengePassword) : utf8(challengePassword);
    attributes.push(attribute(ATTRIBUTE.challengePassword, text));
  }
  if (extensions.length > 0) attributes.push(attribute(ATTRIBUTE.extensionRequest, sequence(...extensions)));
  return attributes;
}

/**
 * Makes a certification request for a CA, signed by a key that does not leave its holder. It asks for CA:true,
 * keyCertSign and cRLSign, as `openssl x509 -copy_extensions` can take them over.
 * @throws PkiError `signer-failed` where the signer fails, or signs with another key
 */
export async function createSignedCsr(
  signer: Signer,
  { subject, authority }: { readonly subject: Name; readonly authority: { readonly pathLen?: number } },
): Promise<{ readonly der: Uint8Array; readonly publicKeyHash: string }> {
  const { algorithm, publicKey } = signer;
  const extensions = sequence(
    authorityConstraintsExtension(authority.pathLen),
    keyUsageExtension(['keyCertSign', 'cRLSign']),
  );
  const info = requestInfo(encodeName(subject), publicKey, [
    attribute(ATTRIBUTE.extensionRequest, extensions),
  ]);
  const signature = await signedBy(signer, info);
  return {
    der: assembled(info, algorithm, signature),
    publicKeyHash: publicKeyHash(exportSpki(publicKey)),
  };
}

async function signedBy(signer: Signer, info: Uint8Array): Promise<Uint8Array> {
  const { algorithm, publicKey } = signer;
  let signature: Uint8Array;
  try {
    signature = await signer.sign(info);
  } catch (cause) {
    throw new PkiError('signer-failed', 'signer: it could not sign', { cause });
  }
  if (!verifySignature({ oid: '', name: algorithm }, info, signature, publicKey))
    throw new PkiError('signer-failed', 'signer: signed with another key than it has');
  return signature;
}

function requestInfo(subjectDer: Uint8Array, publicKey: KeyObject, attributes: readonly Uint8Array[]) {
  return sequence(smallInteger(0), subjectDer, exportSpki(publicKey), der(constructed(0), ...attributes));
}

function assembled(info: Uint8Array, algorithm: KnownSignatureAlgorithm, signature: Uint8Array): Uint8Array {
  return owned(sequence(info, encodeSignatureAlgorithm(algorithm), bitString(signature)));
}

function attribute(dotted: string, value: Uint8Array): Uint8Array {
  return sequence(oid(dotted), der(TAG.SET, value));
}
