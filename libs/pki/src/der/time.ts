import { PkiError } from '../pki-error.ts';
import { TAG } from './tags.ts';

/** `99991231235959Z`: the end of a certificate that has no well-defined end (RFC 5280 §4.1.2.5). */
export const NO_END = Date.UTC(9999, 11, 31, 23, 59, 59);

/** Unix milliseconds of a UTCTime or GeneralizedTime in the only form RFC 5280 §4.1.2.5 allows: seconds, `Z`. */
export function decodeTime(tag: number, content: Uint8Array, field: string): number {
  const short = tag === TAG.UTC_TIME;
  const yearDigits = short ? 2 : 4;
  if (content.length !== yearDigits + 11 || content[yearDigits + 10] !== 0x5a)
    throw new PkiError('malformed', `${field}: a time must have seconds and end in "Z"`);
  const digits = (at: number, count: number): number => {
    let value = 0;
    for (let i = at; i < at + count; i++) {
      const digit = (content[i] ?? 0) - 0x30;
      if (digit < 0 || digit > 9)
        throw new PkiError('malformed', `${field}: a time holds something else than digits`);
      value = value * 10 + digit;
    }
    return value;
  };
  const read = digits(0, yearDigits);
  const year = short ? (read < 50 ? 2000 + read : 1900 + read) : read;
  const [month, day] = [digits(yearDigits, 2), digits(yearDigits + 2, 2)];
  const [hour, minute, second] = [
    digits(yearDigits + 4, 2),
    digits(yearDigits + 6, 2),
    digits(yearDigits + 8, 2),
  ];
  const daysInMonth = new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth || hour > 23 || minute > 59 || second > 59)
    throw new PkiError('malformed', `${field}: not a date and time that exists`);
  return new Date(0).setUTCFullYear(year, month - 1, day) + ((hour * 60 + minute) * 60 + second) * 1000;
}

/** UTCTime until 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5): tag, length, content. `time` in Unix milliseconds. */
export function encodeTime(time: number): Uint8Array {
  const digits = new Date(time)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '');
  if (digits.length !== 15) throw new PkiError('malformed', 'time: years 0 to 9999 only');
  const year = Number(digits.slice(0, 4));
  const short = year >= 1950 && year < 2050;
  const text = short ? digits.slice(2) : digits;
  const der = new Uint8Array(2 + text.length);
  der[0] = short ? TAG.UTC_TIME : TAG.GENERALIZED_TIME;
  der[1] = text.length;
  for (let i = 0; i < text.length; i++) der[i + 2] = text.charCodeAt(i);
  return der;
}
