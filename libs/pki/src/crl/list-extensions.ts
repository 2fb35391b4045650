import { constructed, primitive } from '../der/tags.ts';
import { boolean, der, octetString, oid, sequence, unsignedInteger } from '../der/writer.ts';
import { CRL_EXTENSION, type CrlScope } from './crl.ts';

export type ListFacts = {
  /** Subject key identifier of the issuer, hex. */
  readonly issuerKeyId: string | undefined;
  readonly number: number;
  readonly baseNumber?: number | undefined;
  readonly freshestUrls?: readonly string[] | undefined;
  readonly scope?: CrlScope | undefined;
};

/** Extensions of a CRL (RFC 5280 §5.2), in their explicit tag. */
export function listExtensions(facts: ListFacts): Uint8Array {
  const { issuerKeyId, baseNumber, freshestUrls = [], scope } = facts;
  const extensions = [
    ...(issuerKeyId === undefined
      ? []
      : [extension('authorityKeyId', false, sequence(der(primitive(0), Buffer.from(issuerKeyId, 'hex'))))]),
    extension('crlNumber', false, wholeNumber(facts.number)),
    ...(baseNumber === undefined ? [] : [extension('deltaCrlIndicator', true, wholeNumber(baseNumber))]),
    ...(scope === undefined ? [] : [extension('issuingDistributionPoint', true, scopeValue(scope))]),
    ...(freshestUrls.length === 0
      ? []
      : [extension('freshestCrl', false, sequence(sequence(pointName(freshestUrls))))]),
  ];
  return der(constructed(0), sequence(...extensions));
}

function scopeValue({ urls, onlyUserCerts }: CrlScope): Uint8Array {
  return sequence(
    ...(urls.length === 0 ? [] : [pointName(urls)]),
    ...(onlyUserCerts ? [der(primitive(1), Uint8Array.of(0xff))] : []),
  );
}

/** DistributionPointName as fullName, in its explicit tag. */
function pointName(urls: readonly string[]): Uint8Array {
  const names = urls.map((url) => der(primitive(6), Buffer.from(url, 'latin1')));
  return der(constructed(0), der(constructed(0), ...names));
}

function extension(name: keyof typeof CRL_EXTENSION, critical: boolean, value: Uint8Array): Uint8Array {
  const id = oid(CRL_EXTENSION[name]);
  return critical ? sequence(id, boolean(true), octetString(value)) : sequence(id, octetString(value));
}

function wholeNumber(value: number): Uint8Array {
  const hex = value.toString(16);
  return unsignedInteger(Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex'));
}
