import { EXTENSION } from '../../extensions.ts';
import type { Lint } from '../lint.ts';

/** Extensions that must not be critical, and where that is written. keyUsage and basicConstraints have lints of their own. */
const neverCritical = new Map<string, string>([
  [EXTENSION.authorityKeyId, 'authorityKeyIdentifier, §4.2.1.1'],
  [EXTENSION.subjectKeyId, 'subjectKeyIdentifier, §4.2.1.2'],
  // critical only beside an empty subject, which none of ours is
  [EXTENSION.subjectAltName, 'subjectAltName, §4.2.1.6'],
  [EXTENSION.crlDistributionPoints, 'cRLDistributionPoints, §4.2.1.13'],
  [EXTENSION.authorityInfoAccess, 'authorityInfoAccess, §4.2.2.1'],
  [EXTENSION.ocspNoCheck, 'ocsp-nocheck, RFC 6960 §4.2.2.2.1'],
]);

export const criticality: Lint = {
  name: 'criticality',
  citation: 'RFC 5280 §4.2.1 and §4.2.2',
  check({ extensions }) {
    const wrong = extensions.find(({ oid, critical }) => critical && neverCritical.has(oid));
    return wrong === undefined ? undefined : `must not be critical: ${neverCritical.get(wrong.oid)}`;
  },
};
