import {
  createTemplate,
  issue,
  newSerialNumber,
  PkiError,
  prepare as prepareTemplate,
  type Template,
} from '@signet/pki';
import type { IssuerRegistry, SigningCa } from '../authority/issuer-registry.ts';
import { type PublicUrls, scopeOf } from '../authority/revocation-urls.ts';
import { EnrollmentError } from '../est/enrollment-error.ts';
import type { Leaf, LeafSigner } from './issue.ts';

/**
 * Signs operational certificates with the issuing CAs of the registry: prepared, linted, then signed once. `partitions`: into
 * how many the CRL of a CA is split.
 */
export function leafSigner(registry: IssuerRegistry, urls: PublicUrls, partitions = 1): LeafSigner {
  const templates = new Map<string, Template>();
  const templateOf = (authority: SigningCa, serialNumber: string): Template => {
    const { id } = authority.document;
    const scope = scopeOf(id, serialNumber, partitions);
    const known = templates.get(scope.id);
    if (known?.issuer === authority.issuer) return known;
    const template = createTemplate({
      kind: 'operational',
      issuer: authority.issuer,
      crlUrls: [urls.crlOf(scope.id)],
      ocspUrls: [urls.ocsp],
      caIssuerUrls: [urls.certificateOf(id)],
    });
    templates.set(scope.id, template);
    return template;
  };
  const prepare = ({ reservation, subjectDer, spkiDer, subjectAltNames }: Leaf) => {
    const authority = registry.byId(reservation.authorityId);
    if (authority === undefined)
      throw new EnrollmentError(
        'unavailable',
        `authority: the key of CA "${reservation.authorityId}" is not at hand`,
      );
    const template = templateOf(authority, reservation.serialNumber);
    const linted = certifiable(() =>
      prepareTemplate(template, {
        subjectDer,
        spkiDer,
        sans: subjectAltNames,
        serialNumber: reservation.serialNumber,
        issuedAt: Date.parse(reservation.issuedAt),
        notAfter: Date.parse(reservation.notAfter),
      }),
    );
    return { sign: () => issue(linted, authority.signer) };
  };
  return {
    async reserve({ account, publicKeyHash, serialNumber = newSerialNumber(), validityDays, now }) {
      const { document } = registry.forAccount(account, 'issuing');
      const notAfter = now + validityDays * 86_400_000;
      if (notAfter > Date.parse(document.notAfter))
        throw new EnrollmentError(
          'unavailable',
          `authority: ${validityDays} days are past the end of CA "${document.id}", ${document.notAfter}`,
        );
      return {
        publicKeyHash,
        serialNumber,
        authorityId: document.id,
        issuedAt: new Date(now).toISOString(),
        notAfter: new Date(notAfter).toISOString(),
      };
    },
    prepare,
  };
}

/** What the CSR asks for may break a rule of certificates, such as a Subject that the profile keeps. */
function certifiable<T>(make: () => T): T {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof PkiError) || cause.code !== 'lint') throw cause;
    throw new EnrollmentError('not-certifiable', `certificate: ${cause.message}`, { cause });
  }
}
