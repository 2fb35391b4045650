import { toHex } from '../../hex.ts';
import { keyIdentifier, parseKey } from '../../keys.ts';
import type { Lint } from '../lint.ts';

export const keyIdentifiers: Lint = {
  name: 'key identifiers',
  citation: 'RFC 5280 §4.2.1.1 and §4.2.1.2; RFC 7093 §2',
  check({ subjectDer, subjectKeyId, authorityKeyId, spkiDer }, { issuer, continues }) {
    if (authorityKeyId !== issuer.keyId) return "authorityKeyIdentifier is not the issuer's key id";
    if (continues !== undefined) {
      const isSame =
        subjectKeyId === continues.subjectKeyId &&
        Buffer.compare(subjectDer, continues.subjectDer) === 0 &&
        Buffer.compare(spkiDer, continues.spkiDer) === 0;
      return isSame ? undefined : 'name, key or subjectKeyIdentifier is not that of the CA it goes on as';
    }
    const own = toHex(keyIdentifier(parseKey(spkiDer).bits));
    return subjectKeyId === own ? undefined : 'subjectKeyIdentifier is not that of the key';
  },
};
