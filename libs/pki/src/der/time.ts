import { PkiError } from '../pki-error.ts';
import { TAG } from './tags.ts';

/** `99991231235959Z`: the end of a certificate that has no well-defined end (RFC 5280 §4.1.2.5). */
export const NO_END = Date.UTC(9999, 11, 31, 23, 59, 59);

/**
 * Unix milliseconds of a UTCTime or GeneralizedTime, `start` to `end` of `bytes`, in the only form that
 * RFC 5280 §4.1.2.5 allows: seconds, `Z`.
 */
export function decodeTime(
  tag: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  field: string,
): number {
  const yearDigits = tag === TAG.UTC_TIME ? 2 : 4;
  if (end - start !== yearDigits + 11 || bytes[end - 1] !== 0x5a)
    throw new PkiError('malformed', `${field}: a time must have seconds and end in "Z"`);
  const read = digits(bytes, start, yearDigits, field);
  const year = yearDigits === 4 ? read : read < 50 ? 2000 + read : 1900 + read;
  const rest = start + yearDigits;
  const month = digits(bytes, rest, 2, field);
  const day = digits(bytes, rest + 2, 2, field);
  const hour = digits(bytes, rest + 4, 2, field);
  const minute = digits(bytes, rest + 6, 2, field);
  const second = digits(bytes, rest + 8, 2, field);
  const exists = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);
  if (!exists || hour > 23 || minute > 59 || second > 59)
    throw new PkiError('malformed', `${field}: not a date and time that exists`);
  const midnight =
    year < 100 ? new Date(0).setUTCFullYear(year, month - 1, day) : Date.UTC(year, month - 1, day);
  return midnight + ((hour * 60 + minute) * 60 + second) * 1000;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function digits(bytes: Uint8Array, at: number, count: number, field: string): number {
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const digit = (bytes[i] as number) - 0x30;
    if (digit < 0 || digit > 9)
      throw new PkiError('malformed', `${field}: a time holds something else than digits`);
    value = value * 10 + digit;
  }
  return value;
}

/** UTCTime until 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5): tag, length, content. `time` in Unix milliseconds. */
export function encodeTime(time: number): Uint8Array {
  const date = new Date(time);
  const year = date.getUTCFullYear();
  if (!(year >= 0 && year <= 9999)) throw new PkiError('malformed', 'time: years 0 to 9999 only');
  const short = year >= 1950 && year < 2050;
  const der = Buffer.allocUnsafe(short ? 15 : 17);
  der[0] = short ? TAG.UTC_TIME : TAG.GENERALIZED_TIME;
  der[1] = der.length - 2;
  let at = 2;
  const pair = (value: number): void => {
    der[at++] = 0x30 + Math.floor(value / 10);
    der[at++] = 0x30 + (value % 10);
  };
  if (!short) pair(Math.floor(year / 100));
  pair(year % 100);
  pair(date.getUTCMonth() + 1);
  pair(date.getUTCDate());
  pair(date.getUTCHours());
  pair(date.getUTCMinutes());
  pair(date.getUTCSeconds());
  der[at] = 0x5a;
  return der;
}
