import { checkKey, parseKey } from '../../keys.ts';
import { PkiError } from '../../pki-error.ts';
import type { Lint } from '../lint.ts';

export const publicKey: Lint = {
  name: 'subjectPublicKeyInfo',
  citation: 'NIST SP 800-57 part 1 §5.6.1; RFC 5480 §2',
  check({ spkiDer }) {
    try {
      checkKey(parseKey(spkiDer));
      return undefined;
    } catch (error) {
      if (error instanceof PkiError) return error.message;
      throw error;
    }
  },
};
