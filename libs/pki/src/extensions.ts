import { DerReader } from './der/reader.ts';
import { CONSTRUCTED_BIT, constructed, primitive, TAG } from './der/tags.ts';
import { toHex, toLatin1 } from './hex.ts';
import { PkiError } from './pki-error.ts';

/** Extension OIDs (RFC 5280 §4.2). */
export const EXTENSION = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  crlDistributionPoints: '2.5.29.31',
  authorityKeyId: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
  ocspNoCheck: '1.3.6.1.5.5.7.48.1.5',
} as const;

/** Extended key usages (RFC 5280 §4.2.1.12). */
export const EKU = {
  any: '2.5.29.37.0',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  ocspSigning: '1.3.6.1.5.5.7.3.9',
  /** RFC 9336. */
  documentSigning: '1.3.6.1.5.5.7.3.36',
  /**
   * May register devices with Signet and nothing else: a UUID of ours, in pieces below the arc that Microsoft keeps for
   * such. As one arc below 2.25 (ITU-T X.667) Go cannot read it, nor a certificate that has it.
   */
  registration: '1.2.840.113556.1.8000.2554.26334.15537.24736.19607.41830.13672501.16121948',
} as const;

/** Bits of KeyUsage in the order of RFC 5280 §4.2.1.3. */
export const keyUsages = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;
export type KeyUsage = (typeof keyUsages)[number];

/** One extension as it stands in the certificate or request. */
export type Extension = { readonly oid: string; readonly critical: boolean; readonly value: Uint8Array };

/** Subject alternative names. IP addresses in text; what has no text form (`others`) as hex of its DER. */
export type SubjectAltNames = {
  readonly uris: readonly string[];
  readonly dns: readonly string[];
  readonly ips: readonly string[];
  readonly emails: readonly string[];
  readonly others: readonly string[];
};

export const NO_NAMES: SubjectAltNames = { uris: [], dns: [], ips: [], emails: [], others: [] };

/** Reads `Extensions`: the SEQUENCE that comes next. An extension that occurs twice is refused (RFC 5280 §4.2). */
export function readExtensions(reader: DerReader, field: string): readonly Extension[] {
  const list = reader.enter(TAG.SEQUENCE, field);
  const extensions: Extension[] = [];
  while (!list.atEnd) {
    const item = list.enter(TAG.SEQUENCE, field);
    const oid = item.oid(field);
    const critical = item.peek() === TAG.BOOLEAN && item.boolean(oid);
    const value = item.content(TAG.OCTET_STRING, oid);
    item.finish(oid);
    if (extensions.some((other) => other.oid === oid))
      throw new PkiError('malformed', `${field}: ${oid} occurs twice`);
    extensions.push({ oid, critical, value });
  }
  return extensions;
}

export function parseBasicConstraints(value: Uint8Array): {
  readonly ca: boolean;
  readonly pathLen?: number;
} {
  const field = 'basicConstraints';
  const reader = DerReader.sequence(value, field);
  const ca = reader.peek() === TAG.BOOLEAN && reader.boolean(field);
  const pathLen = reader.peek() === TAG.INTEGER ? reader.smallInteger(`${field} pathLen`) : undefined;
  reader.finish(field);
  if (pathLen !== undefined && !ca) throw new PkiError('malformed', `${field}: a pathLen without CA:true`);
  return pathLen === undefined ? { ca } : { ca, pathLen };
}

export function parseKeyUsage(value: Uint8Array): ReadonlySet<KeyUsage> {
  const reader = DerReader.over(value, 'keyUsage');
  const bits = reader.namedBits('keyUsage');
  reader.finish('keyUsage');
  return new Set(keyUsages.filter((_, bit) => (((bits[bit >> 3] ?? 0) << (bit & 7)) & 0x80) !== 0));
}

export function parseExtKeyUsage(value: Uint8Array): readonly string[] {
  const reader = DerReader.sequence(value, 'extKeyUsage');
  const oids: string[] = [];
  while (!reader.atEnd) oids.push(reader.oid('extKeyUsage'));
  if (oids.length === 0) throw new PkiError('malformed', 'extKeyUsage: empty');
  return oids;
}

export function parseSubjectKeyId(value: Uint8Array): string {
  const reader = DerReader.over(value, 'subjectKeyIdentifier');
  const id = reader.content(TAG.OCTET_STRING, 'subjectKeyIdentifier');
  reader.finish('subjectKeyIdentifier');
  return toHex(id);
}

/** Key id of AuthorityKeyIdentifier; its issuer and serial form is read past. */
export function parseAuthorityKeyId(value: Uint8Array): string | undefined {
  const field = 'authorityKeyIdentifier';
  const reader = DerReader.sequence(value, field);
  const id = reader.peek() === primitive(0) ? toHex(reader.content(primitive(0), field)) : undefined;
  while (!reader.atEnd) reader.any(field);
  return id;
}

/** Reads GeneralNames (RFC 5280 §4.2.1.6). Text names must be ASCII without NUL and control characters. */
export function parseSubjectAltName(value: Uint8Array): SubjectAltNames {
  const field = 'subjectAltName';
  const reader = DerReader.sequence(value, field);
  const names = {
    uris: [] as string[],
    dns: [] as string[],
    ips: [] as string[],
    emails: [] as string[],
    others: [] as string[],
  };
  while (!reader.atEnd) {
    const tag = reader.peek();
    if (tag === primitive(1)) names.emails.push(ascii(reader.content(tag, field), field));
    else if (tag === primitive(2)) names.dns.push(ascii(reader.content(tag, field), field));
    else if (tag === primitive(6)) names.uris.push(ascii(reader.content(tag, field), field));
    else if (tag === primitive(7)) names.ips.push(ipText(reader.content(tag, field), field));
    else names.others.push(toHex(reader.any(field)));
  }
  return names;
}

/** URIs of CRLDistributionPoints (RFC 5280 §4.2.1.13). */
export function parseCrlDistributionPoints(value: Uint8Array): readonly string[] {
  const field = 'cRLDistributionPoints';
  const uris: string[] = [];
  const points = DerReader.sequence(value, field);
  while (!points.atEnd) {
    const point = points.enter(TAG.SEQUENCE, field);
    if (point.peek() === constructed(0)) {
      const name = point.enter(constructed(0), field);
      if (name.peek() === constructed(0)) uris.push(...readUris(name.enter(constructed(0), field), field));
      else name.any(field);
      name.finish(field);
    }
    while (!point.atEnd) point.any(field);
  }
  return uris;
}

const OCSP = '1.3.6.1.5.5.7.48.1';
const CA_ISSUERS = '1.3.6.1.5.5.7.48.2';

/** URIs of AuthorityInfoAccess (RFC 5280 §4.2.2.1). */
export function parseAuthorityInfoAccess(value: Uint8Array): {
  readonly ocsp: readonly string[];
  readonly caIssuers: readonly string[];
} {
  const field = 'authorityInfoAccess';
  const found = { ocsp: [] as string[], caIssuers: [] as string[] };
  const descriptions = DerReader.sequence(value, field);
  while (!descriptions.atEnd) {
    const description = descriptions.enter(TAG.SEQUENCE, field);
    const method = description.oid(field);
    const uris = readUris(description, field);
    if (method === OCSP) found.ocsp.push(...uris);
    else if (method === CA_ISSUERS) found.caIssuers.push(...uris);
  }
  return found;
}

/** URIs among GeneralNames; other names are read past. */
export function readUris(names: DerReader, field: string): readonly string[] {
  const uris: string[] = [];
  while (!names.atEnd) {
    if (names.peek() === primitive(6)) uris.push(ascii(names.content(primitive(6), field), field));
    else if ((names.peek() & CONSTRUCTED_BIT) !== 0) names.any(field);
    else names.content(-1, field);
  }
  return uris;
}

function ascii(content: Uint8Array, field: string): string {
  for (let i = 0; i < content.length; i++)
    if ((content[i] as number) < 0x20 || (content[i] as number) > 0x7e)
      throw new PkiError('malformed', `${field}: a character that is not printable ASCII`);
  return toLatin1(content);
}

function ipText(content: Uint8Array, field: string): string {
  if (content.length === 4) return content.join('.');
  if (content.length !== 16)
    throw new PkiError('malformed', `${field}: an IP address of ${content.length} bytes`);
  const groups = toHex(content).match(/.{4}/g) as string[];
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
