import { verify } from 'node:crypto';
import type { Certificate } from '../certificate.ts';
import { constructed, primitive } from '../der/tags.ts';
import { encodeTime } from '../der/time.ts';
import { bitString, der, octetString, oid, sequence, smallInteger, unsignedInteger } from '../der/writer.ts';
import { PkiError } from '../pki-error.ts';
import { encodeSignatureAlgorithm, hashOf } from '../signature-algorithm.ts';
import type { Signer } from '../signer/signer.ts';
import { CRL_EXTENSION, type CrlEntry, type CrlReason, crlReasons, ENUMERATED } from './crl.ts';

export type CrlInput = {
  readonly issuer: Certificate;
  /** Holds the issuer's key. */
  readonly signer: Signer;
  /** Rises with every CRL of this issuer (RFC 5280 §5.2.3). */
  readonly number: number;
  /** Unix milliseconds, as all times here; a CRL holds whole seconds. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly entries: readonly CrlEntry[];
};

/**
 * DER of a signed CRL, version 2 with authority key id and CRL number (RFC 5280 §5).
 * Throws `PkiError`: `not-issuable` where the issuer may not sign CRLs or the times make no sense, `signer-failed`
 * where the signer's key is not the issuer's, `malformed` for a serial number that is none, `too-large` from 16 MiB.
 */
export async function createCrl(input: CrlInput): Promise<Uint8Array> {
  const { issuer, signer, number, thisUpdate, nextUpdate, entries } = input;
  if (issuer.keyUsage?.has('cRLSign') === false)
    throw new PkiError('not-issuable', 'issuer: its keyUsage does not allow it to sign CRLs');
  if (nextUpdate <= thisUpdate) throw new PkiError('not-issuable', 'nextUpdate: is not after thisUpdate');
  if (!Number.isSafeInteger(number) || number < 0)
    throw new PkiError('malformed', `number: ${number} is not a whole number from 0`);

  const algorithm = encodeSignatureAlgorithm(signer.algorithm);
  // An empty list is left out (RFC 5280 §5.1.2.6).
  const revoked = entries.length === 0 ? [] : [sequence(Buffer.concat(entries.map(encodeEntry)))];
  const keyId = issuer.subjectKeyId;
  const extensions = [
    ...(keyId === undefined
      ? []
      : [extension(CRL_EXTENSION.authorityKeyId, sequence(der(primitive(0), Buffer.from(keyId, 'hex'))))]),
    extension(CRL_EXTENSION.crlNumber, unsignedInteger(evenHex(number.toString(16)))),
  ];
  const tbs = sequence(
    smallInteger(1),
    algorithm,
    issuer.subjectDer,
    encodeTime(thisUpdate),
    encodeTime(nextUpdate),
    ...revoked,
    der(constructed(0), sequence(...extensions)),
  );
  const signature = await signer.sign(tbs);
  if (!verify(hashOf(signer.algorithm), tbs, issuer.publicKey, signature))
    throw new PkiError('signer-failed', 'signer: signed with another key than the issuer has');
  return sequence(tbs, algorithm, bitString(signature));
}

function encodeEntry({ serialNumber, revokedAt, reason = 'unspecified' }: CrlEntry): Uint8Array {
  if (!/^([0-9a-f]{2}){1,20}$/.test(serialNumber))
    throw new PkiError(
      'malformed',
      `serialNumber: "${serialNumber}" is not 1 to 20 octets in lower-case hex`,
    );
  const serial = unsignedInteger(Buffer.from(serialNumber, 'hex'));
  const why = reasonExtensions[reason];
  return why === undefined
    ? sequence(serial, encodeTime(revokedAt))
    : sequence(serial, encodeTime(revokedAt), why);
}

function extension(dotted: string, value: Uint8Array): Uint8Array {
  return sequence(oid(dotted), octetString(value));
}

function evenHex(hex: string): Uint8Array {
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}

/** Entry extensions by reason; "unspecified" is left out (RFC 5280 §5.3.1). */
const reasonExtensions: Partial<Record<CrlReason, Uint8Array>> = Object.fromEntries(
  Object.entries(crlReasons)
    .filter(([reason]) => reason !== 'unspecified')
    .map(([reason, code]) => [
      reason,
      sequence(extension(CRL_EXTENSION.reasonCode, der(ENUMERATED, Uint8Array.of(code)))),
    ]),
);
