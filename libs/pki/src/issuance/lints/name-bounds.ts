import { outsideOf } from '../../name-constraints.ts';
import type { Lint } from '../lint.ts';

export const nameBounds: Lint = {
  name: 'name constraints of the issuer',
  citation: 'RFC 5280 §4.2.1.10',
  check(certificate, { issuer }) {
    if (issuer.selfIssued === true) return undefined;
    for (const constraints of issuer.constraints ?? []) {
      const reason = outsideOf(constraints, certificate);
      if (reason !== undefined) return reason;
    }
    return undefined;
  },
};
