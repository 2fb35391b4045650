import { EXTENSION, type KeyUsage } from '../../extensions.ts';
import type { Lint } from '../lint.ts';

const forAuthority: readonly KeyUsage[] = ['keyCertSign', 'cRLSign'];
const forLeaf: readonly KeyUsage[] = ['digitalSignature'];

export const keyUsage: Lint = {
  name: 'keyUsage',
  citation: 'RFC 5280 §4.2.1.3',
  check({ keyUsage: usage, extensions }, { kind }) {
    const wanted = kind === 'authority' ? forAuthority : forLeaf;
    if (usage?.size !== wanted.length || !wanted.every((bit) => usage.has(bit)))
      return `must be ${wanted.join(', ')} and nothing else`;
    const critical = extensions.some(
      (extension) => extension.oid === EXTENSION.keyUsage && extension.critical,
    );
    return critical ? undefined : 'must be critical';
  },
};
