import { expect, it } from 'vitest';
import { parseTime } from './parse-time.ts';

it.each([
  ['2027-01-31', '2027-01-31T00:00:00.000Z'],
  ['2027-01-31T12:00Z', '2027-01-31T12:00:00.000Z'],
  ['2027-01-31T12:00:00.5+02:00', '2027-01-31T10:00:00.500Z'],
])('%s is a time', (text, time) => {
  expect(parseTime(text)).toBe(time);
});

it.each(['', 'x', '-1', '5', 'tomorrow', '2027-02-30', '2027-13-01', '2027-01-31T25:00Z', '31.1.2027'])(
  '"%s" is no time',
  (text) => {
    expect(() => parseTime(text)).toThrow(/expected a time/);
  },
);
