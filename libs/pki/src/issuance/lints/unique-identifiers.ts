import type { Lint } from '../lint.ts';

export const uniqueIdentifiers: Lint = {
  name: 'unique identifiers',
  citation: 'RFC 5280 §4.1.2.8',
  check({ hasUniqueIds }) {
    return hasUniqueIds ? 'issuerUniqueID and subjectUniqueID must not be made' : undefined;
  },
};
