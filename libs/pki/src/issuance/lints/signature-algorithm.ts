import type { Lint } from '../lint.ts';

export const signatureAlgorithm: Lint = {
  name: 'signature',
  citation: 'RFC 5280 §4.1.1.2 and §4.1.2.3',
  check({ signatureAlgorithm: inner }, { algorithm }) {
    return inner.name === algorithm
      ? undefined
      : `${inner.name ?? inner.oid}, and the issuer signs with ${algorithm}`;
  },
};
