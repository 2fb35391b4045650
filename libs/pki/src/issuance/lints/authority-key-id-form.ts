import { primitive, TAG } from '../../der/tags.ts';
import { EXTENSION } from '../../extensions.ts';
import type { Lint } from '../lint.ts';

/** Issuer and serial number beside the key id would bind the certificate to one certificate of its issuer: a root that is replaced would strand it. */
export const authorityKeyIdForm: Lint = {
  name: 'authorityKeyIdentifier',
  citation: 'RFC 5280 §4.2.1.1',
  check({ extensions }) {
    const found = extensions.find(({ oid }) => oid === EXTENSION.authorityKeyId);
    if (found === undefined) return 'is missing';
    const [tag, length, first, inner = 0] = found.value;
    const isKeyIdAlone = tag === TAG.SEQUENCE && first === primitive(0) && length === inner + 2;
    return isKeyIdAlone ? undefined : 'must hold the keyIdentifier and nothing else';
  },
};
