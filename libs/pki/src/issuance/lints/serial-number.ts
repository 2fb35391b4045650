import type { Lint } from '../lint.ts';

const MIN_OCTETS = 8;
const MAX_OCTETS = 20;

export const serialNumber: Lint = {
  name: 'serialNumber',
  citation: 'RFC 5280 §4.1.2.2; CA/Browser Forum BR §7.1',
  check({ serialNumber: serial }) {
    if (/^0*$/.test(serial)) return 'must be positive';
    // a sign byte goes before a first bit that is set
    const bytes = serial.length / 2 + (Number.parseInt(serial[0] as string, 16) >= 8 ? 1 : 0);
    if (bytes > MAX_OCTETS) return `${bytes} bytes, at most ${MAX_OCTETS} are allowed`;
    return serial.length / 2 < MIN_OCTETS
      ? `${serial.length / 2} bytes, at least ${MIN_OCTETS} are needed`
      : undefined;
  },
};
