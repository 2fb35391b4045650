import type { Certificate } from '../certificate.ts';
import { DerReader } from '../der/reader.ts';
import { constructed, primitive, TAG } from '../der/tags.ts';
import { parseAuthorityKeyId, parseCrlDistributionPoints, readExtensions, readUris } from '../extensions.ts';
import { toHex } from '../hex.ts';
import { type Name, parseName } from '../name.ts';
import { isSameName } from '../name-comparison.ts';
import { PkiError } from '../pki-error.ts';
import { readSignatureAlgorithm, type SignatureAlgorithm, verifySignature } from '../signature-algorithm.ts';
import {
  CRL_EXTENSION,
  type CrlEntry,
  type CrlReason,
  type CrlScope,
  crlReasons,
  ENUMERATED,
  MAX_CRL_BYTES,
} from './crl.ts';

/** What a CRL says (RFC 5280 §5.1). Says nothing about whether it is to be trusted: see {@link verifyCrlSignature}. */
export type Crl = {
  readonly tbsDer: Uint8Array;
  readonly issuerDer: Uint8Array;
  readonly issuer: Name;
  /** Unix milliseconds, as all times here. */
  readonly thisUpdate: number;
  readonly nextUpdate?: number;
  readonly number?: bigint;
  /** Present in a delta: it goes with a complete CRL of this number or a later one, and says nothing alone. */
  readonly baseNumber?: bigint;
  /** Present where it speaks only of some certificates of its issuer. */
  readonly scope?: CrlScope;
  /** URLs of the deltas that go with it. */
  readonly freshestUrls?: readonly string[];
  /** Lower-case hex. */
  readonly authorityKeyId?: string;
  readonly entries: readonly CrlEntry[];
  /** OIDs of critical extensions, of the list or of an entry, that are not known: whoever relies on it must refuse it. */
  readonly unknownCritical: readonly string[];
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly signature: Uint8Array;
};

const reasonOf = new Map<number, CrlReason>(
  Object.entries(crlReasons).map(([reason, code]) => [code, reason as CrlReason]),
);

/** Reads a CRL in strict DER; `PkiError` `malformed`, or `too-large` above 128 MiB. */
export function parseCrl(der: Uint8Array): Crl {
  const outer = DerReader.sequence(der, 'CRL', MAX_CRL_BYTES);
  const tbsDer = outer.element(TAG.SEQUENCE, 'tbsCertList');
  const signatureAlgorithm = readSignatureAlgorithm(outer, 'signatureAlgorithm');
  const signature = outer.bitString('signature');
  outer.finish('CRL');

  const tbs = DerReader.sequence(tbsDer, 'tbsCertList', MAX_CRL_BYTES);
  if (tbs.peek() === TAG.INTEGER && tbs.smallInteger('version') !== 1)
    throw new PkiError('malformed', 'version: is not 2 (RFC 5280 §5.1.2.1)');
  if (readSignatureAlgorithm(tbs, 'tbsCertList signature').oid !== signatureAlgorithm.oid)
    throw new PkiError(
      'malformed',
      'signatureAlgorithm: differs from the one that is signed (RFC 5280 §5.1.1.2)',
    );
  const issuerDer = tbs.element(TAG.SEQUENCE, 'issuer');
  const thisUpdate = tbs.time('thisUpdate');
  const nextUpdate = isTime(tbs.peek()) ? tbs.time('nextUpdate') : undefined;
  const unknownCritical = new Set<string>();
  const entries: CrlEntry[] = [];
  if (tbs.peek() === TAG.SEQUENCE) {
    const revoked = tbs.enter(TAG.SEQUENCE, 'revokedCertificates');
    while (!revoked.atEnd) entries.push(readEntry(revoked, unknownCritical));
  }
  const extensions = readListExtensions(tbs, unknownCritical);
  tbs.finish('tbsCertList');
  return {
    tbsDer,
    issuerDer,
    issuer: parseName(issuerDer, 'issuer'),
    thisUpdate,
    ...(nextUpdate === undefined ? {} : { nextUpdate }),
    ...extensions,
    entries,
    unknownCritical: [...unknownCritical],
    signatureAlgorithm,
    signature,
  };
}

/** Whether `issuer` signed this CRL under its own name, and may. Times are not looked at. */
export function verifyCrlSignature(crl: Crl, issuer: Certificate): boolean {
  return (
    isSameName(crl.issuerDer, issuer.subjectDer) &&
    issuer.keyUsage?.has('cRLSign') !== false &&
    verifySignature(crl.signatureAlgorithm, crl.tbsDer, crl.signature, issuer.publicKey)
  );
}

function isTime(tag: number): boolean {
  return tag === TAG.UTC_TIME || tag === TAG.GENERALIZED_TIME;
}

/** Reads one entry; OIDs of critical extensions that are not known are put into `unknownCritical`. */
export function readEntry(list: DerReader, unknownCritical: Set<string>): CrlEntry {
  const entry = list.enter(TAG.SEQUENCE, 'revokedCertificates');
  const bytes = entry.integer('revokedCertificates serialNumber');
  const serialNumber = toHex(bytes[0] === 0 && bytes.length > 1 ? bytes.subarray(1) : bytes);
  const revokedAt = entry.time('revocationDate');
  if (entry.atEnd) return { serialNumber, revokedAt };
  let reason: CrlReason | undefined;
  for (const { oid, critical, value } of readExtensions(entry, 'crlEntryExtensions')) {
    if (oid === CRL_EXTENSION.reasonCode) reason = readReason(value);
    else if (critical) unknownCritical.add(oid);
  }
  entry.finish('revokedCertificates');
  return reason === undefined ? { serialNumber, revokedAt } : { serialNumber, revokedAt, reason };
}

function readReason(value: Uint8Array): CrlReason {
  const reader = DerReader.over(value, 'reasonCode');
  const [code = -1, ...more] = reader.content(ENUMERATED, 'reasonCode');
  reader.finish('reasonCode');
  const reason = more.length === 0 ? reasonOf.get(code) : undefined;
  if (reason === undefined) throw new PkiError('malformed', 'reasonCode: not one of RFC 5280 §5.3.1');
  return reason;
}

type ListExtensions = Pick<Crl, 'number' | 'baseNumber' | 'scope' | 'freshestUrls' | 'authorityKeyId'>;

function readListExtensions(tbs: DerReader, unknownCritical: Set<string>): ListExtensions {
  if (tbs.atEnd) return {};
  const found: { -readonly [K in keyof ListExtensions]: ListExtensions[K] } = {};
  const wrapper = tbs.enter(constructed(0), 'crlExtensions');
  for (const { oid, critical, value } of readExtensions(wrapper, 'crlExtensions')) {
    if (oid === CRL_EXTENSION.crlNumber) found.number = readNumber(value, 'cRLNumber');
    else if (oid === CRL_EXTENSION.deltaCrlIndicator)
      found.baseNumber = readNumber(value, 'deltaCRLIndicator');
    else if (oid === CRL_EXTENSION.freshestCrl) found.freshestUrls = parseCrlDistributionPoints(value);
    else if (oid === CRL_EXTENSION.issuingDistributionPoint) {
      const scope = readScope(value);
      if (scope === undefined) unknownCritical.add(oid);
      else found.scope = scope;
    } else if (oid === CRL_EXTENSION.authorityKeyId) {
      const keyId = parseAuthorityKeyId(value);
      if (keyId !== undefined) found.authorityKeyId = keyId;
    } else if (critical) unknownCritical.add(oid);
  }
  wrapper.finish('crlExtensions');
  return found;
}

/** Undefined where it has more than a full name and onlyContainsUserCerts: such a CRL is not understood here. */
function readScope(value: Uint8Array): CrlScope | undefined {
  const field = 'issuingDistributionPoint';
  const reader = DerReader.sequence(value, field);
  let urls: readonly string[] = [];
  if (reader.peek() === constructed(0)) {
    const name = reader.enter(constructed(0), field);
    if (name.peek() !== constructed(0)) return undefined;
    urls = readUris(name.enter(constructed(0), field), field);
    name.finish(field);
  }
  let onlyUserCerts = false;
  if (reader.peek() === primitive(1)) {
    const [flag, ...more] = reader.content(primitive(1), field);
    if (flag !== 0xff || more.length > 0) throw new PkiError('malformed', `${field}: not TRUE in DER`);
    onlyUserCerts = true;
  }
  return reader.atEnd ? { urls, onlyUserCerts } : undefined;
}

function readNumber(value: Uint8Array, field: string): bigint {
  const reader = DerReader.over(value, field);
  const bytes = reader.integer(field);
  reader.finish(field);
  if ((bytes[0] as number) >= 0x80 || bytes.length > 20)
    throw new PkiError('malformed', `${field}: negative, or more than 20 bytes (RFC 5280 §5.2.3)`);
  return BigInt(`0x${toHex(bytes)}`);
}
