import { EXTENSION } from '../../extensions.ts';
import type { Lint } from '../lint.ts';
import { flawOfAddress } from './web-address.ts';

export const crlDistributionPoints: Lint = {
  name: 'cRLDistributionPoints',
  citation: 'RFC 5280 §4.2.1.13 and §8',
  check({ extensions, crlUrls }, { issuer }) {
    if (!extensions.some(({ oid }) => oid === EXTENSION.crlDistributionPoints)) return undefined;
    if (issuer.selfSigned) return 'nobody can revoke a root by its own CRL';
    if (crlUrls.length === 0) return 'has no URI';
    return first(crlUrls);
  },
};

function first(uris: readonly string[]): string | undefined {
  for (const uri of uris) {
    const flaw = flawOfAddress(uri);
    if (flaw !== undefined) return flaw;
  }
  return undefined;
}
