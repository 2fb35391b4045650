import type { Lint } from '../lint.ts';

export const onlyKnownExtensions: Lint = {
  name: 'extensions',
  citation: 'RFC 5280 §4.2',
  check({ version, unknownCritical }) {
    if (version !== 3) return `in a certificate of version ${version}`;
    return unknownCritical.length === 0 ? undefined : `critical and unknown: ${unknownCritical.join(', ')}`;
  },
};
