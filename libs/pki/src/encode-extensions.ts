import { isIP } from 'node:net';
import { constructed, primitive } from './der/tags.ts';
import {
  boolean,
  der,
  namedBits,
  nullValue,
  octetString,
  oid,
  owned,
  sequence,
  smallInteger,
} from './der/writer.ts';
import { EXTENSION, type KeyUsage, keyUsages } from './extensions.ts';
import { PkiError } from './pki-error.ts';

const oidDer = new Map(Object.values(EXTENSION).map((dotted) => [dotted as string, owned(oid(dotted))]));

/** One Extension; `critical` is written only where it is true (DER leaves out what is default). */
export function extension(dotted: string, critical: boolean, value: Uint8Array): Uint8Array {
  const id = oidDer.get(dotted) ?? oid(dotted);
  return critical ? sequence(id, boolean(true), octetString(value)) : sequence(id, octetString(value));
}

export function keyUsageExtension(usages: Iterable<KeyUsage>): Uint8Array {
  return extension(EXTENSION.keyUsage, true, namedBits([...usages].map((usage) => keyUsages.indexOf(usage))));
}

export function extKeyUsageExtension(...oids: readonly string[]): Uint8Array {
  return extension(EXTENSION.extKeyUsage, false, sequence(...oids.map(oid)));
}

/** Critical, CA:true (RFC 5280 §4.2.1.9). */
export function authorityConstraintsExtension(pathLen?: number): Uint8Array {
  const value = sequence(boolean(true), ...(pathLen === undefined ? [] : [smallInteger(pathLen)]));
  return extension(EXTENSION.basicConstraints, true, value);
}

/** The status of this responder's certificate need not be asked for (RFC 6960 §4.2.2.2.1). */
export function ocspNoCheckExtension(): Uint8Array {
  return extension(EXTENSION.ocspNoCheck, false, nullValue());
}

export function subjectKeyIdExtension(id: Uint8Array): Uint8Array {
  return extension(EXTENSION.subjectKeyId, false, octetString(id));
}

export function authorityKeyIdExtension(id: Uint8Array): Uint8Array {
  return extension(EXTENSION.authorityKeyId, false, sequence(der(primitive(0), id)));
}

export function crlDistributionPointsExtension(urls: readonly string[]): Uint8Array {
  const points = urls.map((url) =>
    sequence(der(constructed(0), der(constructed(0), text(6, url, 'CRL URL')))),
  );
  return extension(EXTENSION.crlDistributionPoints, false, sequence(...points));
}

export function authorityInfoAccessExtension(
  ocspUrls: readonly string[],
  caIssuerUrls: readonly string[],
): Uint8Array {
  const ocsp = ocspUrls.map((url) => sequence(oid('1.3.6.1.5.5.7.48.1'), text(6, url, 'OCSP URL')));
  const issuers = caIssuerUrls.map((url) =>
    sequence(oid('1.3.6.1.5.5.7.48.2'), text(6, url, 'CA issuers URL')),
  );
  return extension(EXTENSION.authorityInfoAccess, false, sequence(...ocsp, ...issuers));
}

/** Names to put in; IP addresses in text. */
export type NamesToEncode = {
  readonly uris?: readonly string[];
  readonly dns?: readonly string[];
  readonly ips?: readonly string[];
  readonly emails?: readonly string[];
};

/** SubjectAltName, or nothing where there are no names. */
export function subjectAltNameExtension(names: NamesToEncode): Uint8Array | undefined {
  const general = [
    ...(names.uris ?? []).map((uri) => text(6, uri, 'SAN URI')),
    ...(names.dns ?? []).map((name) => text(2, name, 'SAN DNS name')),
    ...(names.ips ?? []).map((ip) => der(primitive(7), ipOctets(ip))),
    ...(names.emails ?? []).map((email) => text(1, email, 'SAN e-mail address')),
  ];
  return general.length === 0 ? undefined : extension(EXTENSION.subjectAltName, false, sequence(...general));
}

function text(tag: number, value: string, field: string): Uint8Array {
  if (!/^[\x21-\x7e]+$/.test(value))
    throw new PkiError('malformed', `${field}: "${value}" is not printable ASCII`);
  return der(primitive(tag), Buffer.from(value, 'latin1'));
}

/** The 4 or 16 bytes of an IP address in text. */
export function ipOctets(ip: string): Uint8Array {
  const version = isIP(ip);
  if (version === 4) return Uint8Array.from(ip.split('.'), Number);
  if (version !== 6 || ip.includes('%')) throw new PkiError('malformed', `SAN IP address: "${ip}" is none`);
  const [head = '', tail] = new URL(`http://[${ip}]`).hostname.slice(1, -1).split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
