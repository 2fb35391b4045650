import { EKU } from '../../extensions.ts';
import type { Lint } from '../lint.ts';
import type { CertificateKind } from '../template.ts';

const purposes: Record<CertificateKind, readonly string[] | undefined> = {
  operational: [EKU.clientAuth],
  bootstrap: [EKU.clientAuth],
  registration: [EKU.clientAuth, EKU.registration],
  server: [EKU.serverAuth],
  ocsp: [EKU.ocspSigning],
  statements: [EKU.documentSigning],
  authority: undefined,
};

export const extendedKeyUsage: Lint = {
  name: 'extKeyUsage',
  citation: 'RFC 5280 §4.2.1.12',
  check({ extKeyUsage }, { kind }) {
    const wanted = purposes[kind];
    if (wanted === undefined) return extKeyUsage === undefined ? undefined : 'not in the certificate of a CA';
    return extKeyUsage?.join() === wanted.join()
      ? undefined
      : `must be ${wanted.join(' and ')} and nothing else`;
  },
};
