import { EXTENSION } from '../../extensions.ts';
import type { Lint } from '../lint.ts';

export const authorityBit: Lint = {
  name: 'basicConstraints',
  citation: 'RFC 5280 §4.2.1.9',
  check({ basicConstraints, extensions }, { kind, issuer }) {
    if (kind !== 'authority')
      return basicConstraints?.ca === true ? `CA:true in a certificate of kind "${kind}"` : undefined;
    if (basicConstraints?.ca !== true) return 'CA:true is missing in the certificate of a CA';
    if (!extensions.some(({ oid, critical }) => oid === EXTENSION.basicConstraints && critical))
      return 'must be critical in the certificate of a CA';
    if (issuer.pathLen === undefined) return undefined;
    if (issuer.pathLen === 0) return 'the issuer may have no CA below it (pathLen 0)';
    const { pathLen = Number.POSITIVE_INFINITY } = basicConstraints;
    // a self-issued certificate does not count (RFC 5280 §4.2.1.9)
    if (issuer.selfIssued === true)
      return pathLen > issuer.pathLen
        ? `pathLen must not be above the issuer's, ${issuer.pathLen}`
        : undefined;
    return pathLen >= issuer.pathLen ? `pathLen must be below the issuer's, ${issuer.pathLen}` : undefined;
  },
};
