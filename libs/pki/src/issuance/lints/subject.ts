import type { Lint } from '../lint.ts';

/** ub-common-name, ub-organization-name, ub-serial-number. */
const MAX_CHARACTERS = 64;

export const subject: Lint = {
  name: 'subject',
  citation: 'RFC 5280 §4.1.2.6 and appendix A.1',
  check({ subject: name, subjectDer }, { kind, issuer, continues }) {
    if (name.commonName === undefined) return 'has no commonName, or more than one';
    for (const field of continues === undefined
      ? (['commonName', 'organization', 'serialNumber'] as const)
      : [])
      if ((name[field]?.length ?? 0) > MAX_CHARACTERS)
        return `${field} is longer than ${MAX_CHARACTERS} characters`;
    const own = Buffer.compare(subjectDer, issuer.subjectDer) === 0;
    if (issuer.selfIssued === true)
      return own ? undefined : 'differs from the issuer in a self-issued certificate';
    if (issuer.selfSigned && !own) return 'differs from the issuer in a self-signed certificate';
    if (!issuer.selfSigned && own) return `a certificate of kind "${kind}" bears the name of its issuer`;
    return undefined;
  },
};
