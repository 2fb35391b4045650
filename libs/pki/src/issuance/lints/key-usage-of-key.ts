import type { KeyUsage } from '../../extensions.ts';
import { parseKey } from '../../keys.ts';
import type { Lint } from '../lint.ts';

/** What a key of a kind cannot be used for. */
const impossible = {
  RSA: ['keyAgreement', 'encipherOnly', 'decipherOnly'],
  'P-256': ['keyEncipherment', 'dataEncipherment'],
  'P-384': ['keyEncipherment', 'dataEncipherment'],
  Ed25519: ['keyEncipherment', 'dataEncipherment', 'keyAgreement', 'encipherOnly', 'decipherOnly'],
} as const satisfies Record<string, readonly KeyUsage[]>;

export const keyUsageOfKey: Lint = {
  name: 'keyUsage of the key',
  citation: 'RFC 3279 §2.3.1; RFC 8813 §3; RFC 8410 §5',
  check({ keyUsage, spkiDer }) {
    if (keyUsage === undefined) return undefined;
    if (keyUsage.size === 0) return 'no bit is set (RFC 5280 §4.2.1.3)';
    const { kind } = parseKey(spkiDer);
    const wrong = impossible[kind].find((usage) => keyUsage.has(usage));
    return wrong === undefined ? undefined : `${wrong} is not for a key of kind ${kind}`;
  },
};
