import { EKU } from '../../extensions.ts';
import type { Lint } from '../lint.ts';
import type { CertificateKind } from '../template.ts';

const purposes: Record<CertificateKind, string | undefined> = {
  operational: EKU.clientAuth,
  bootstrap: EKU.clientAuth,
  server: EKU.serverAuth,
  ocsp: EKU.ocspSigning,
  authority: undefined,
};

export const extendedKeyUsage: Lint = {
  name: 'extKeyUsage',
  citation: 'RFC 5280 §4.2.1.12',
  check({ extKeyUsage }, { kind }) {
    const purpose = purposes[kind];
    if (purpose === undefined)
      return extKeyUsage === undefined ? undefined : 'not in the certificate of a CA';
    return extKeyUsage?.length === 1 && extKeyUsage[0] === purpose
      ? undefined
      : `must be ${purpose} and nothing else`;
  },
};
