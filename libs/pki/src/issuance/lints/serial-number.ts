import type { Lint } from '../lint.ts';

const MIN_OCTETS = 8;

export const serialNumber: Lint = {
  name: 'serialNumber',
  citation: 'RFC 5280 §4.1.2.2; CA/Browser Forum BR §7.1',
  check({ serialNumber: serial }) {
    if (/^0*$/.test(serial)) return 'must be positive';
    return serial.length / 2 < MIN_OCTETS
      ? `${serial.length / 2} octets, at least ${MIN_OCTETS} are needed`
      : undefined;
  },
};
