import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PkiError } from '../pki-error.ts';
import { encodeOid } from './oid.ts';
import { DerReader } from './reader.ts';
import { TAG } from './tags.ts';
import { encodeTime, NO_END } from './time.ts';
import {
  bitString,
  boolean,
  der,
  namedBits,
  octetString,
  oid,
  sequence,
  smallInteger,
  unsignedInteger,
} from './writer.ts';

const over = (bytes: Uint8Array): DerReader => DerReader.over(bytes, 'field');
const fromHex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('DER', () => {
  it('reads what the writer wrote: integers, OIDs, times, strings of any length', () => {
    const arcs = fc.array(fc.integer({ min: 0, max: 2 ** 40 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(
        fc.nat(2 ** 31 - 1),
        fc.tuple(fc.constantFrom('0.9', '1.39', '2.0', '2.999', '2.48'), arcs),
        fc.date({ min: new Date(0), max: new Date(NO_END), noInvalidDate: true }),
        fc.uint8Array({ maxLength: 70_000, size: 'max' }),
        fc.boolean(),
        (number, [root, rest], date, octets, flag) => {
          const dotted = [root, ...rest].join('.');
          const time = Math.floor(date.getTime() / 1000) * 1000;
          const bytes = sequence(
            smallInteger(number),
            oid(dotted),
            encodeTime(time),
            octetString(octets),
            bitString(octets),
            boolean(flag),
          );
          const reader = DerReader.sequence(bytes, 'field', 200_000);
          expect(reader.smallInteger('field')).toBe(number);
          expect(reader.oid('field')).toBe(dotted);
          expect(reader.time('field')).toBe(time);
          expect(Buffer.compare(reader.content(TAG.OCTET_STRING, 'field'), octets)).toBe(0);
          expect(Buffer.compare(reader.bitString('field'), octets)).toBe(0);
          expect(reader.boolean('field')).toBe(flag);
          reader.finish('field');
        },
      ),
      { numRuns: 100 },
    );
  });

  it('reads any bytes at all, or refuses them with a PkiError, and what it accepts has one encoding', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          const reader = over(bytes);
          while (!reader.atEnd) reader.any('field');
        } catch (error) {
          expect(error).toBeInstanceOf(PkiError);
        }
      }),
      { numRuns: 5000 },
    );
  });

  it('writes integers as the mathematics has them', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 160n }), (value) => {
        const text = value.toString(16);
        const magnitude = Buffer.from(text.length % 2 === 0 ? text : `0${text}`, 'hex');
        const content = over(unsignedInteger(magnitude)).integer('field');
        expect(BigInt(`0x${Buffer.from(content).toString('hex')}`)).toBe(value);
        expect(content[0]).toBeLessThan(0x80);
      }),
    );
  });

  it('writes named bits without trailing zeros (X.690 §11.2.2)', () => {
    expect(Buffer.from(namedBits([0])).toString('hex')).toBe('03020780');
    expect(Buffer.from(namedBits([5, 6])).toString('hex')).toBe('03020106');
    expect(Buffer.from(namedBits([8])).toString('hex')).toBe('0303070080');
    expect(Buffer.from(namedBits([])).toString('hex')).toBe('030100');
  });

  it.each<[string, string, (reader: DerReader) => unknown, string]>([
    ['an indefinite length', '30 80 00 00', (r) => r.any('x'), 'x: an indefinite length (BER)'],
    [
      'a long length where a short one does',
      '04 81 01 00',
      (r) => r.any('x'),
      'x: a length that is not minimal (BER)',
    ],
    [
      'a length with a leading zero',
      '04 82 00 80',
      (r) => r.any('x'),
      'x: a length that is not minimal (BER)',
    ],
    [
      'a length of five bytes',
      '04 85 01 00 00 00 00',
      (r) => r.any('x'),
      'x: truncated or a length out of range',
    ],
    ['a length past the end', '04 03 00 00', (r) => r.any('x'), 'x: truncated'],
    ['a tag alone', '04', (r) => r.any('x'), 'x: truncated'],
    ['nothing', '', (r) => r.any('x'), 'x: missing'],
    ['a tag of several bytes', '1f 81 00 00', (r) => r.any('x'), 'x: a tag of several bytes'],
    ['an empty INTEGER', '02 00', (r) => r.any('x'), 'x: an empty INTEGER'],
    ['a padded INTEGER', '02 02 00 7f', (r) => r.any('x'), 'x: an INTEGER that is not minimal'],
    ['a padded negative INTEGER', '02 02 ff 80', (r) => r.any('x'), 'x: an INTEGER that is not minimal'],
    ['a negative INTEGER as a count', '02 01 ff', (r) => r.smallInteger('x'), 'x: an INTEGER out of range'],
    ['a BOOLEAN of 01', '01 01 01', (r) => r.any('x'), 'x: a BOOLEAN that is not 00 or FF'],
    ['a NULL with content', '05 01 00', (r) => r.any('x'), 'x: a NULL with content'],
    ['an empty OID', '06 00', (r) => r.any('x'), 'x: an empty OBJECT IDENTIFIER'],
    [
      'an OID arc that is padded',
      '06 03 55 80 01',
      (r) => r.any('x'),
      'x: an OBJECT IDENTIFIER arc with leading zeros',
    ],
    ['an OID that ends within an arc', '06 02 55 81', (r) => r.any('x'), 'x: a truncated OBJECT IDENTIFIER'],
    [
      'unused bits that are set',
      '03 02 01 ff',
      (r) => r.any('x'),
      'x: a BIT STRING whose unused bits are set',
    ],
    [
      'too many unused bits',
      '03 02 08 00',
      (r) => r.any('x'),
      'x: a BIT STRING with a wrong count of unused bits',
    ],
    [
      'a key of odd bits',
      '03 02 01 fe',
      (r) => r.bitString('x'),
      'x: a BIT STRING that is not of whole bytes',
    ],
    [
      'an octet string in pieces',
      '24 03 04 01 00',
      (r) => r.content(TAG.OCTET_STRING, 'x'),
      'x: tag 0x04 expected, found 0x24',
    ],
  ])('refuses %s', (_, hex, read, message) => {
    expect(() => read(over(fromHex(hex)))).toThrow(expect.objectContaining({ code: 'malformed', message }));
  });

  it('refuses what is nested deeper than any certificate is', () => {
    let bytes = der(TAG.NULL);
    for (let i = 0; i < 1000; i++) bytes = sequence(bytes);
    expect(() => over(bytes).any('x')).toThrow('x: nested deeper than 16');
  });

  it('reads an OID with a UUID for an arc, and refuses one with an arc beyond', () => {
    const uuid = '2.25.136735176470521485665808129377074282588';
    expect(over(oid(uuid)).oid('x')).toBe(uuid);
    const huge = der(TAG.OID, Uint8Array.of(0x55, ...new Array(19).fill(0xff), 0x01));
    expect(() => over(huge).oid('x')).toThrow('x: an OBJECT IDENTIFIER arc that is too large');
    expect(() => encodeOid('1.x')).toThrow(expect.objectContaining({ code: 'malformed' }));
  });

  it.each<[string, string]>([
    ['20260230000000Z', 'not a date and time that exists'],
    ['20250229000000Z', 'not a date and time that exists'],
    ['20261301000000Z', 'not a date and time that exists'],
    ['20260101240000Z', 'not a date and time that exists'],
    ['20260101000060Z', 'not a date and time that exists'],
    ['202601010000Z', 'a time must have seconds and end in "Z"'],
    ['20260101000000+0100', 'a time must have seconds and end in "Z"'],
    ['20260101000000.5Z', 'a time must have seconds and end in "Z"'],
    ['2026010100000xZ', 'a time holds something else than digits'],
  ])('refuses the time %s', (text, reason) => {
    expect(() => over(der(TAG.GENERALIZED_TIME, Buffer.from(text))).time('notAfter')).toThrow(
      `notAfter: ${reason}`,
    );
  });

  it('reads the end that means none, and both centuries of UTCTime (RFC 5280 §4.1.2.5)', () => {
    const time = (tag: number, text: string): number => over(der(tag, Buffer.from(text))).time('x');
    expect(time(TAG.GENERALIZED_TIME, '99991231235959Z')).toBe(NO_END);
    expect(time(TAG.UTC_TIME, '491231235959Z')).toBe(Date.UTC(2049, 11, 31, 23, 59, 59));
    expect(time(TAG.UTC_TIME, '500101000000Z')).toBe(Date.UTC(1950, 0, 1));
    expect(time(TAG.GENERALIZED_TIME, '20240229120000Z')).toBe(Date.UTC(2024, 1, 29, 12));
    expect(Buffer.from(encodeTime(NO_END)).toString('latin1', 2)).toBe('99991231235959Z');
    expect(encodeTime(Date.UTC(2049, 11, 31))[0]).toBe(TAG.UTC_TIME);
    expect(encodeTime(Date.UTC(2050, 0, 1))[0]).toBe(TAG.GENERALIZED_TIME);
    expect(() => encodeTime(Number.NaN)).toThrow('time: years 0 to 9999 only');
  });
});
