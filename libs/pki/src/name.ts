import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { der, oid, owned, printable, utf8 } from './der/writer.ts';
import { toLatin1 } from './hex.ts';
import { PkiError } from './pki-error.ts';

/** What a distinguished name says. An attribute that occurs more than once is ambiguous and left out. */
export type Name = {
  readonly commonName?: string;
  readonly organization?: string;
  readonly organizationalUnit?: string;
  readonly country?: string;
  readonly state?: string;
  readonly locality?: string;
  /** Attribute serialNumber (X.520): a device's serial, not a certificate's. */
  readonly serialNumber?: string;
};

const attributeOids = {
  country: '2.5.4.6',
  state: '2.5.4.8',
  locality: '2.5.4.7',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  serialNumber: '2.5.4.5',
  commonName: '2.5.4.3',
} as const satisfies Record<keyof Name, string>;

const attributeOf = new Map<string, keyof Name>(
  Object.entries(attributeOids).map(([attribute, dotted]) => [dotted, attribute as keyof Name]),
);

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf16 = new TextDecoder('utf-16be', { fatal: true });
const printableText = /^[A-Za-z0-9 '()+,\-./:=?]*$/;

/** Reads a Name (RFC 5280 §4.1.2.4) from its exact DER. */
export function parseName(nameDer: Uint8Array, field: string): Name {
  const name: { -readonly [K in keyof Name]?: string } = {};
  const seen: string[] = [];
  const relatives = DerReader.sequence(nameDer, field);
  while (!relatives.atEnd) {
    const attributes = relatives.enter(TAG.SET, field);
    if (attributes.atEnd) throw new PkiError('malformed', `${field}: an empty relative name`);
    while (!attributes.atEnd) {
      const attribute = attributes.enter(TAG.SEQUENCE, field);
      const key = attributeOf.get(attribute.oid(field));
      if (key === undefined) attribute.any(field);
      else if (seen.includes(key)) {
        readText(attribute, field);
        delete name[key];
      } else {
        seen.push(key);
        name[key] = readText(attribute, field);
      }
      attribute.finish(field);
    }
  }
  return name;
}

/** A DirectoryString, or the IA5String that some put in its place. */
export function readText(reader: DerReader, field: string): string {
  const tag = reader.peek();
  const content = reader.content(tag, field);
  try {
    if (tag === TAG.UTF8_STRING) return strictUtf8.decode(content);
    if (tag === TAG.BMP_STRING) return utf16.decode(content);
  } catch (cause) {
    throw new PkiError('malformed', `${field}: text that is not in its encoding`, { cause });
  }
  const latin = toLatin1(content);
  if (tag === TAG.PRINTABLE_STRING) {
    if (!printableText.test(latin))
      throw new PkiError('malformed', `${field}: a character that PrintableString lacks`);
    return latin;
  }
  if (tag === TAG.IA5_STRING) {
    if (content.some((octet) => octet > 0x7f))
      throw new PkiError('malformed', `${field}: a character that IA5String lacks`);
    return latin;
  }
  if (tag === TAG.T61_STRING) return latin;
  throw new PkiError('malformed', `${field}: a string expected`);
}

/** Whether PrintableString can hold the text. */
export function isPrintable(text: string): boolean {
  return printableText.test(text);
}

/** DER of a Name, one attribute in each relative name, most significant first, text in UTF8String. */
export function encodeName(name: Name): Uint8Array {
  const relatives = Object.entries(attributeOids).flatMap(([attribute, dotted]) => {
    const text = name[attribute as keyof Name];
    if (text === undefined) return [];
    if (text === '') throw new PkiError('malformed', `${attribute}: empty`);
    const asPrintable = attribute === 'country' || attribute === 'serialNumber';
    if (asPrintable && !printableText.test(text))
      throw new PkiError('malformed', `${attribute}: a character that PrintableString lacks`);
    const value = asPrintable ? printable(text) : utf8(text);
    return [der(TAG.SET, der(TAG.SEQUENCE, oid(dotted), value))];
  });
  return owned(der(TAG.SEQUENCE, ...relatives));
}
