import { EXTENSION } from '../../extensions.ts';
import type { Lint } from '../lint.ts';
import { flawOfAddress } from './web-address.ts';

export const authorityInfoAccess: Lint = {
  name: 'authorityInfoAccess',
  citation: 'RFC 5280 §4.2.2.1 and §8',
  check({ extensions, ocspUrls, caIssuerUrls }) {
    if (!extensions.some(({ oid }) => oid === EXTENSION.authorityInfoAccess)) return undefined;
    if (ocspUrls.length + caIssuerUrls.length === 0) return 'has neither an OCSP nor a caIssuers URI';
    for (const uri of ocspUrls) {
      const flaw = flawOfAddress(uri);
      if (flaw !== undefined) return `OCSP: ${flaw}`;
    }
    for (const uri of caIssuerUrls) {
      const flaw = flawOfAddress(uri);
      if (flaw !== undefined) return `caIssuers: ${flaw}`;
    }
    return undefined;
  },
};
