import { isSerialAmong, parseSerialRange, serialRangeSize, serialsIn } from '@signet/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

describe('a range of serial numbers', () => {
  test('is counted, listed and asked for a member', () => {
    const range = parseSerialRange('SN-0998..SN-1001') ?? expect.unreachable();
    expect(serialRangeSize(range)).toBe(4);
    expect([...serialsIn(range)]).toEqual(['SN-0998', 'SN-0999', 'SN-1000', 'SN-1001']);
  });

  test('has exactly the members that it lists', () => {
    const letters = fc.stringMatching(/^[A-Z-]{0,4}$/);
    const number = fc.integer({ min: 0, max: 300 });
    fc.assert(
      fc.property(letters, letters, number, number, number, (prefix, suffix, a, b, asked) => {
        const name = (n: number) => `${prefix}${String(n).padStart(3, '0')}${suffix}`;
        const text = `${name(Math.min(a, b))}..${name(Math.max(a, b))}`;
        const range = parseSerialRange(text) ?? expect.unreachable();
        expect([...serialsIn(range)].includes(name(asked))).toBe(isSerialAmong(name(asked), [text]));
      }),
    );
  });

  test('a serial number that only looks like a member is none', () => {
    const among = ['SN-0001..SN-0100', 'X7'];
    expect(isSerialAmong('SN-0100', among)).toBe(true);
    expect(isSerialAmong('X7', among)).toBe(true);
    for (const other of [
      'SN-0101',
      'SN-0000',
      'SN-100',
      'SN-00001',
      'sn-0001',
      'SN-+001',
      'SN-0001X',
      'X70',
      '',
    ])
      expect(isSerialAmong(other, among)).toBe(false);
  });

  test.each([
    ['SN-1..', 'both ends need a number, as in SN-0001..SN-9999'],
    ['..SN-1', 'both ends need a number, as in SN-0001..SN-9999'],
    ['A-1..B-2', 'its ends differ in more than their number'],
    ['SN-1..SN-10', 'the numbers of its ends differ in width'],
    ['SN-2..SN-1', 'its end comes before its beginning'],
    [`${'0'.repeat(16)}..${'9'.repeat(16)}`, 'a number has at most 15 digits'],
  ])('refuses %s', (text, reason) => {
    expect(() => parseSerialRange(text)).toThrow(`serial range "${text}": ${reason}`);
  });
});
