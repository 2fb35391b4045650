import type { KeylessCsr } from '../csr.ts';
import { DerReader } from '../der/reader.ts';
import { TAG } from '../der/tags.ts';

/** Attributes by which a CSR asks that the key made for it be encrypted (RFC 7030 §4.4.1; RFC 4108 §2.2.5, RFC 7030 §4.4.1.2). */
const DECRYPT_KEY_IDENTIFIER = '1.2.840.113549.1.9.16.2.37';
const ASYMMETRIC_DECRYPT_KEY_IDENTIFIER = '1.2.840.113549.1.9.16.2.54';
const SMIME_CAPABILITIES = '1.2.840.113549.1.9.15';

/** Ciphers of CMS that keys can be encrypted with, the preferred one first. */
const cipherOids = {
  'AES-256-CBC': '2.16.840.1.101.3.4.1.42',
  'AES-128-CBC': '2.16.840.1.101.3.4.1.2',
} as const;
export type ContentCipher = keyof typeof cipherOids;

/** How a CSR wants its key encrypted. */
export type WantedEncryption = {
  /** Identifier of a symmetric key that client and server share. */
  readonly symmetric?: Uint8Array;
  /** Identifier of the client's own key. */
  readonly asymmetric?: Uint8Array;
  /** The first of ours that the client takes; missing where it takes none of them. */
  readonly cipher?: ContentCipher;
};

/** Undefined where the CSR does not ask for it. Throws `malformed`. */
export function wantedEncryption(csr: Pick<KeylessCsr, 'otherAttributes'>): WantedEncryption | undefined {
  const symmetric = identifierIn(csr, DECRYPT_KEY_IDENTIFIER, 'DecryptKeyIdentifier');
  const asymmetric = identifierIn(csr, ASYMMETRIC_DECRYPT_KEY_IDENTIFIER, 'AsymmetricDecryptKeyIdentifier');
  if (symmetric === undefined && asymmetric === undefined) return undefined;
  const cipher = cipherFor(csr.otherAttributes.get(SMIME_CAPABILITIES));
  return {
    ...(symmetric === undefined ? {} : { symmetric }),
    ...(asymmetric === undefined ? {} : { asymmetric }),
    ...(cipher === undefined ? {} : { cipher }),
  };
}

function identifierIn(
  { otherAttributes }: Pick<KeylessCsr, 'otherAttributes'>,
  oid: string,
  field: string,
): Uint8Array | undefined {
  const value = otherAttributes.get(oid);
  if (value === undefined) return undefined;
  const reader = DerReader.over(value, field);
  const identifier = reader.content(TAG.OCTET_STRING, field);
  reader.finish(field);
  return identifier;
}

/** A client that says nothing takes what every client must (RFC 8551 §2.7: AES in CBC mode). */
function cipherFor(capabilities: Uint8Array | undefined): ContentCipher | undefined {
  const ours = Object.entries(cipherOids) as [ContentCipher, string][];
  if (capabilities === undefined) return ours[0]?.[0];
  const taken = new Set<string>();
  const list = DerReader.sequence(capabilities, 'SMIMECapabilities');
  while (!list.atEnd) {
    const capability = list.enter(TAG.SEQUENCE, 'SMIMECapabilities');
    taken.add(capability.oid('SMIMECapabilities'));
    while (!capability.atEnd) capability.any('SMIMECapabilities');
  }
  return ours.find(([, oid]) => taken.has(oid))?.[0];
}
