import { NO_END } from '../../der/time.ts';
import type { Lint } from '../lint.ts';

export const validity: Lint = {
  name: 'validity',
  citation: 'RFC 5280 §4.1.2.5; IEEE 802.1AR §8.7',
  check({ notBefore, notAfter }, { kind, issuer }) {
    if (notBefore >= notAfter) return 'notAfter is not later than notBefore';
    if (notAfter > issuer.notAfter) return 'notAfter is past that of the issuer';
    if (kind !== 'bootstrap' && kind !== 'authority' && notAfter === NO_END)
      return `a certificate of kind "${kind}" must have an end`;
    return undefined;
  },
};
