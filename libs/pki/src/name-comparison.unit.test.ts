import { describe, expect, it } from 'vitest';
import { TAG } from './der/tags.ts';
import { der, oid, printable, sequence, utf8 } from './der/writer.ts';
import { encodeName, encodeNameLike, parseName } from './name.ts';
import { isSameName } from './name-comparison.ts';

const CN = '2.5.4.3';
const O = '2.5.4.10';
const bmp = (text: string) => der(TAG.BMP_STRING, Buffer.from(text, 'utf16le').swap16());
const attribute = (type: string, value: Uint8Array) => sequence(oid(type), value);
const name = (...relatives: readonly Uint8Array[][]) =>
  sequence(...relatives.map((attributes) => der(TAG.SET, ...attributes)));
const cn = (value: Uint8Array) => name([attribute(CN, value)]);

describe('two names are the same (RFC 5280 §7.1)', () => {
  it.each([
    ['in another string type', printable('pump 17'), utf8('pump 17')],
    ['in BMPString', bmp('pump 17'), utf8('pump 17')],
    ['in upper and lower case', utf8('Pump 17'), utf8('pUMP 17')],
    ['with spaces at the ends, or several within', printable('  pump   17 '), utf8('pump 17')],
    ['with letters that are composed or not', utf8('Zu\u0308rich'), utf8('Z\u00fcrich')],
  ])('%s', (_, one, other) => {
    expect(isSameName(cn(one), cn(other))).toBe(true);
  });

  it.each([
    ['another text', utf8('pump 17'), utf8('pump 18')],
    ['a space more within a word', utf8('pump17'), utf8('pump 17')],
    ['bytes that are no text', der(TAG.OCTET_STRING, Buffer.from('a')), utf8('a')],
    ['text that is not in its encoding', der(TAG.UTF8_STRING, Buffer.from('ff', 'hex')), utf8('\u00ff')],
    ['a quote that would end its value', utf8('a"],["2.5.4.10="b'), utf8('a')],
  ])('not with %s', (_, one, other) => {
    expect(isSameName(cn(one), cn(other))).toBe(false);
  });

  it('with the attributes of one relative name in any order, and relative names in theirs', () => {
    const [a, b] = [attribute(CN, utf8('a')), attribute(O, utf8('b'))];
    expect(isSameName(name([a, b]), name([b, a]))).toBe(true);
    expect(isSameName(name([a], [b]), name([b], [a]))).toBe(false);
    expect(isSameName(name([a], [b]), name([a, b]))).toBe(false);
    expect(isSameName(name([a]), name([a], [a]))).toBe(false);
  });
});

describe('a name is encoded as it was asked for', () => {
  const wanted = { commonName: 'dev-1', organization: 'acme' };

  it('to the byte where that says the same, in whichever order and string type', () => {
    for (const asked of [
      name([attribute(CN, printable('dev-1'))], [attribute(O, printable('acme'))]),
      name([attribute(O, utf8('acme'))], [attribute(CN, printable('dev-1'))]),
      name([attribute(O, utf8('acme')), attribute(CN, utf8('dev-1'))]),
    ])
      expect(Buffer.from(encodeNameLike(wanted, asked)).equals(asked)).toBe(true);
  });

  it('in the string types that were asked for, where it says more or other than that', () => {
    const expected = name([attribute(O, printable('acme'))], [attribute(CN, printable('dev-1'))]);
    for (const asked of [
      cn(printable('dev-1')),
      name([attribute(O, printable('other'))], [attribute(CN, printable('dev-1'))]),
    ])
      expect(Buffer.from(encodeNameLike(wanted, asked)).equals(expected)).toBe(true);
    expect(encodeNameLike(wanted, cn(utf8('dev-1')))).toEqual(encodeName(wanted));
    expect(encodeNameLike(wanted, name())).toEqual(encodeName(wanted));
  });

  it('never in string types that certificates should not use, nor in other case', () => {
    for (const asked of [
      name([attribute(O, bmp('acme'))], [attribute(CN, bmp('dev-1'))]),
      name([attribute(O, utf8('ACME'))], [attribute(CN, utf8('dev-1'))]),
    ]) {
      const made = encodeNameLike(wanted, asked);
      expect(made).toEqual(encodeName(wanted));
      expect(parseName(made, 'subject')).toEqual(wanted);
    }
    const underscored = { commonName: 'dev_1', organization: 'acme' };
    const mixed = name([attribute(O, printable('acme'))], [attribute(CN, utf8('dev_1'))]);
    expect(Buffer.from(encodeNameLike(underscored, mixed)).equals(mixed)).toBe(true);
    expect(
      parseName(encodeNameLike(underscored, name([attribute(O, printable('acme'))])), 'subject'),
    ).toEqual(underscored);
  });
});
