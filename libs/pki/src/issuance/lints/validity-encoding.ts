import { TAG } from '../../der/tags.ts';
import type { Lint } from '../lint.ts';

/** From here on GeneralizedTime, before it UTCTime. */
const YEAR_2050 = Date.UTC(2050, 0, 1);

export const validityEncoding: Lint = {
  name: 'validity encoding',
  citation: 'RFC 5280 §4.1.2.5',
  check({ validityDer, notBefore, notAfter }) {
    // SEQUENCE and its length, then tag and length of the first time
    const first = validityDer[2];
    const second = validityDer[4 + (validityDer[3] as number)];
    return flaw('notBefore', first, notBefore) ?? flaw('notAfter', second, notAfter);
  },
};

function flaw(field: string, tag: number | undefined, time: number): string | undefined {
  const wanted = time < YEAR_2050 ? TAG.UTC_TIME : TAG.GENERALIZED_TIME;
  if (tag === wanted) return undefined;
  return wanted === TAG.UTC_TIME
    ? `${field}: before 2050 it must be a UTCTime`
    : `${field}: from 2050 on it must be a GeneralizedTime`;
}
