import { toHex } from '../../hex.ts';
import { keyIdentifier, parseKey } from '../../keys.ts';
import type { Lint } from '../lint.ts';

export const keyIdentifiers: Lint = {
  name: 'key identifiers',
  citation: 'RFC 5280 §4.2.1.1 and §4.2.1.2; RFC 7093 §2',
  check({ subjectKeyId, authorityKeyId, spkiDer }, { issuer }) {
    if (authorityKeyId !== issuer.keyId) return "authorityKeyIdentifier is not the issuer's key id";
    const own = toHex(keyIdentifier(parseKey(spkiDer).bits));
    return subjectKeyId === own ? undefined : 'subjectKeyIdentifier is not that of the key';
  },
};
