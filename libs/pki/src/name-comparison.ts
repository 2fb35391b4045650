import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { toHex, toLatin1 } from './hex.ts';

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf16 = new TextDecoder('utf-16be', { fatal: true });

/**
 * Text that is equal for names that are the same by RFC 5280 §7.1: the same attributes in the same order, their text
 * compared by character in whichever string type it stands, upper and lower case alike, spaces at the ends left out and
 * those within counted once (RFC 4518 §2). A value that is no text is compared by its bytes.
 */
export function comparableName(nameDer: Uint8Array): string {
  return JSON.stringify(comparableRelatives(nameDer));
}

/** The same of each relative name, from the root of the directory on. */
export function comparableRelatives(nameDer: Uint8Array): readonly string[] {
  const relatives = DerReader.sequence(nameDer, 'name');
  const parts: string[] = [];
  while (!relatives.atEnd) {
    const attributes = relatives.enter(TAG.SET, 'name');
    const values: string[] = [];
    while (!attributes.atEnd) {
      const attribute = attributes.enter(TAG.SEQUENCE, 'name');
      const type = attribute.oid('name');
      values.push(`${type}=${comparableValue(attribute.any('name'))}`);
      attribute.finish('name');
    }
    parts.push(JSON.stringify(values.toSorted()));
  }
  return parts;
}

/** Whether two names are the same by RFC 5280 §7.1. */
export function isSameName(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0 || comparableName(one) === comparableName(other);
}

function comparableValue(der: Uint8Array): string {
  const text = textOf(der);
  return text === undefined ? `#${toHex(der)}` : `"${prepared(text)}`;
}

function textOf(der: Uint8Array): string | undefined {
  const reader = DerReader.over(der, 'name');
  const tag = reader.peek();
  const known: readonly number[] = [TAG.UTF8_STRING, TAG.BMP_STRING, ...latin];
  if (!known.includes(tag)) return undefined;
  const content = reader.content(tag, 'name');
  if (latin.includes(tag)) return toLatin1(content);
  try {
    return (tag === TAG.UTF8_STRING ? strictUtf8 : utf16).decode(content);
  } catch {
    return undefined;
  }
}

const latin: readonly number[] = [TAG.PRINTABLE_STRING, TAG.IA5_STRING, TAG.T61_STRING];

/** RFC 4518 §2.2, §2.3, §2.6.1. */
function prepared(text: string): string {
  return text
    .replace(/[\t\n\v\f\r\u0085\p{Z}]+/gu, ' ')
    .replace(/[\p{Cc}\p{Cf}]|\u034f|[\u180b-\u180d]|[\ufe00-\ufe0f]|\ufffc/gu, '')
    .normalize('NFKC')
    .toLowerCase()
    .replace(/ +/g, ' ')
    .trim();
}
