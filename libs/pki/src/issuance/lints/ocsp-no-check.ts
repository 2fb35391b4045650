import { EXTENSION } from '../../extensions.ts';
import type { Lint } from '../lint.ts';

export const ocspNoCheck: Lint = {
  name: 'ocsp-nocheck',
  citation: 'RFC 6960 §4.2.2.2.1',
  check({ extensions }, { kind }) {
    const present = extensions.some(({ oid }) => oid === EXTENSION.ocspNoCheck);
    if (kind === 'ocsp') return present ? undefined : 'is missing in the certificate of a responder';
    return present ? `not in a certificate of kind "${kind}"` : undefined;
  },
};
