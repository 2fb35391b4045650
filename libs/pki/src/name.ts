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
    if (content.some((byte) => byte > 0x7f))
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
  return encode(name, () => TAG.UTF8_STRING);
}

/**
 * DER of a Name as the one that was asked for has it, so that whoever makes its next request in the same way asks for
 * the very name: its own bytes where it says the same in the strings that certificates may use (RFC 5280 §4.1.2.4), else
 * each attribute in the string type that it has there, and further ones in the type that it uses.
 */
export function encodeNameLike(name: Name, asked: Uint8Array): Uint8Array {
  const attributes = readAttributes(asked);
  const wanted = Object.entries(attributeOids).filter(
    ([attribute]) => name[attribute as keyof Name] !== undefined,
  );
  const isSame =
    wanted.length === attributes.length &&
    wanted.every(([attribute, dotted]) => {
      const { tag, text } = attributes.find(({ type }) => type === dotted) ?? {};
      const fits =
        tag === TAG.PRINTABLE_STRING || (tag === TAG.UTF8_STRING && !alwaysPrintable.has(attribute));
      return fits && text === name[attribute as keyof Name];
    });
  if (isSame) return owned(asked);
  const usual =
    attributes.length > 0 && attributes.every(({ tag }) => tag === TAG.PRINTABLE_STRING)
      ? TAG.PRINTABLE_STRING
      : TAG.UTF8_STRING;
  return encode(name, (dotted) => {
    const tag = attributes.find(({ type }) => type === dotted)?.tag;
    return tag === TAG.PRINTABLE_STRING || tag === TAG.UTF8_STRING ? tag : usual;
  });
}

type ReadAttribute = { readonly type: string; readonly tag: number; readonly text: string | undefined };

function readAttributes(nameDer: Uint8Array): readonly ReadAttribute[] {
  const field = 'subject';
  const found: ReadAttribute[] = [];
  const relatives = DerReader.sequence(nameDer, field);
  while (!relatives.atEnd) {
    const attributes = relatives.enter(TAG.SET, field);
    while (!attributes.atEnd) {
      const attribute = attributes.enter(TAG.SEQUENCE, field);
      const type = attribute.oid(field);
      const tag = attribute.peek();
      const isKnown = attributeOf.has(type);
      const text = isKnown ? readText(attribute, field) : undefined;
      if (!isKnown) attribute.any(field);
      found.push({ type, tag, text });
      attribute.finish(field);
    }
  }
  return found;
}

/**
 * The text of an attribute that {@link Name} has no member for; undefined where it is not there, twice there, or no text.
 * @throws PkiError where the Name cannot be read
 */
export function textOfAttribute(nameDer: Uint8Array, dotted: string): string | undefined {
  const field = 'subject';
  const texts: (string | undefined)[] = [];
  const relatives = DerReader.sequence(nameDer, field);
  while (!relatives.atEnd) {
    const attributes = relatives.enter(TAG.SET, field);
    while (!attributes.atEnd) {
      const attribute = attributes.enter(TAG.SEQUENCE, field);
      if (attribute.oid(field) === dotted) texts.push(textIn(attribute, field));
      else attribute.any(field);
      attribute.finish(field);
    }
  }
  return texts.length === 1 ? texts[0] : undefined;
}

function textIn(attribute: DerReader, field: string): string | undefined {
  const isText = [TAG.UTF8_STRING, TAG.PRINTABLE_STRING, TAG.IA5_STRING].some(
    (tag) => tag === attribute.peek(),
  );
  if (isText) return readText(attribute, field);
  attribute.any(field);
  return undefined;
}

/** X.520 has no other string for these. */
const alwaysPrintable: ReadonlySet<string> = new Set<keyof Name>(['country', 'serialNumber']);

function encode(name: Name, tagOf: (dotted: string) => number): Uint8Array {
  const relatives = Object.entries(attributeOids).flatMap(([attribute, dotted]) => {
    const text = name[attribute as keyof Name];
    if (text === undefined) return [];
    if (text === '') throw new PkiError('malformed', `${attribute}: empty`);
    const isPrintableText = printableText.test(text);
    if (alwaysPrintable.has(attribute) && !isPrintableText)
      throw new PkiError('malformed', `${attribute}: a character that PrintableString lacks`);
    const asPrintable = alwaysPrintable.has(attribute) || tagOf(dotted) === TAG.PRINTABLE_STRING;
    const value = asPrintable && isPrintableText ? printable(text) : utf8(text);
    return [der(TAG.SET, der(TAG.SEQUENCE, oid(dotted), value))];
  });
  return owned(der(TAG.SEQUENCE, ...relatives));
}
