import { createTemplate, issue, newSerialNumber, prepare, type Template } from '@signet/pki';
import type { AuthorityRing, HeldAuthority } from '../authority/ring.ts';
import { EnrollmentError } from '../enrollment/enrollment-error.ts';
import type { LeafSigner } from './issue.ts';

/** URLs that go into the certificates of a CA. */
export type PublicUrls = {
  crlOf(authorityId: string): string;
  certificateOf(authorityId: string): string;
};

/** The addresses below the base URL of the service's plain HTTP port. */
export function publicUrls(base: string): PublicUrls {
  const root = base.replace(/\/+$/, '');
  return {
    crlOf: (authorityId) => `${root}/crl/${authorityId}.crl`,
    certificateOf: (authorityId) => `${root}/ca/${authorityId}.cer`,
  };
}

/** Signs operational certificates with the issuing CAs of the ring: prepared, linted, then signed once. */
export function leafSigner(ring: AuthorityRing, urls: PublicUrls): LeafSigner {
  const templates = new Map<string, Template>();
  const templateOf = (authority: HeldAuthority): Template => {
    const { id } = authority.document;
    const known = templates.get(id);
    if (known !== undefined) return known;
    const template = createTemplate({
      kind: 'operational',
      issuer: authority.certificate,
      crlUrls: [urls.crlOf(id)],
      caIssuerUrls: [urls.certificateOf(id)],
    });
    templates.set(id, template);
    return template;
  };
  return {
    async reserve({ account, publicKeyHash, validityDays, now }) {
      const { document } = ring.forAccount(account, 'issuing');
      const notAfter = now + validityDays * 86_400_000;
      if (notAfter > Date.parse(document.notAfter))
        throw new EnrollmentError(
          'unavailable',
          `authority: ${validityDays} days are past the end of CA "${document.id}", ${document.notAfter}`,
        );
      return {
        publicKeyHash,
        serialNumber: newSerialNumber(),
        authorityId: document.id,
        issuedAt: new Date(now).toISOString(),
        notAfter: new Date(notAfter).toISOString(),
      };
    },
    async sign({ reservation, subjectDer, spkiDer, subjectAltNames }) {
      const authority = ring.byId(reservation.authorityId);
      if (authority === undefined)
        throw new EnrollmentError(
          'unavailable',
          `authority: the key of CA "${reservation.authorityId}" is not at hand`,
        );
      const linted = prepare(templateOf(authority), {
        subjectDer,
        spkiDer,
        sans: subjectAltNames,
        serialNumber: reservation.serialNumber,
        issuedAt: Date.parse(reservation.issuedAt),
        notAfter: Date.parse(reservation.notAfter),
      });
      return issue(linted, authority.signer);
    },
  };
}
