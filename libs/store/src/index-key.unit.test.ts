import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePrefix, encodeValue, endOfPrefix, type IndexValue, keyOf } from './index-key.ts';

const text = fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed());
const number = fc.double({ noNaN: true, noDefaultInfinity: true });

function byOctet(a: string, b: string): number {
  return Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function compare(a: IndexValue, b: IndexValue): number {
  if (typeof a === 'string' && typeof b === 'string') return byOctet(a, b);
  return Math.sign(Number(a) - Number(b));
}

describe('keys of an index', () => {
  it.each([
    ['strings', text],
    ['numbers', number],
    ['booleans', fc.boolean()],
  ])('sort as the values do: %s', (_, values: fc.Arbitrary<IndexValue>) => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        expect(byOctet(encodeValue(a), encodeValue(b))).toBe(compare(a, b));
      }),
    );
  });

  it('sort by the first field, then by the second, then by the id', () => {
    const index = { fields: ['a', 'b'] } as const;
    type Document = { id: string; a: string; b: number };
    const document = fc.record({ id: text, a: text, b: number });
    const order = (x: Document, y: Document) => compare(x.a, y.a) || compare(x.b, y.b) || compare(x.id, y.id);
    fc.assert(
      fc.property(document, document, (x, y) => {
        expect(byOctet(keyOf<Document>(x, index), keyOf<Document>(y, index))).toBe(order(x, y));
      }),
    );
  });

  it('lie between a prefix and its end exactly if the value begins with it', () => {
    fc.assert(
      fc.property(text, text, fc.boolean(), (prefix, tail, begins) => {
        const value = begins ? prefix + tail : tail;
        const start = encodePrefix(prefix);
        const key = encodeValue(value);
        const within = byOctet(key, start) >= 0 && byOctet(key, endOfPrefix(start)) < 0;
        expect(within).toBe(value.startsWith(prefix));
      }),
    );
  });

  it('of documents outside of an index sort after all others, and are unique', () => {
    const index = { fields: ['a'], unique: true } as const;
    type Document = { id: string; a?: string };
    const outside = keyOf<Document>({ id: '1' }, index);
    expect(byOctet(outside, endOfPrefix('s'))).toBe(1);
    expect(byOctet(outside, endOfPrefix(''))).toBe(1);
    expect(keyOf<Document>({ id: '2' }, index)).not.toBe(outside);
  });
});
