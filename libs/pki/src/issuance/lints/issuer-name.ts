import type { Lint } from '../lint.ts';

/** DER of a Name without any attribute. */
const EMPTY_NAME_BYTES = 2;

export const issuerName: Lint = {
  name: 'issuer',
  citation: 'RFC 5280 §4.1.2.4',
  check({ issuerDer }, { issuer }) {
    if (issuerDer.length <= EMPTY_NAME_BYTES) return 'is empty';
    return Buffer.compare(issuerDer, issuer.subjectDer) === 0
      ? undefined
      : 'is not to the byte the subject of the issuer';
  },
};
