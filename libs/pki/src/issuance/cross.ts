import type { Certificate } from '../certificate.ts';
import type { Signer } from '../signer/signer.ts';
import { issue } from './issue.ts';
import { prepare } from './prepare.ts';
import { createTemplate, issuerFrom, type TemplateRequest } from './template.ts';

/**
 * Certifies the key of another root of the same name (RFC 4210 §4.4): the old root's with the new key, or the new
 * root's with the old one. `pointers`: where the CRL of `root` is. It ends with the first of the two. Throws `not-issuable` and `lint` as `prepare` does.
 */
export async function issueCross(
  root: { readonly certificate: Certificate; readonly signer: Signer },
  other: Certificate,
  issuedAt: number,
  pointers: Pick<TemplateRequest, 'crlUrls' | 'caIssuerUrls' | 'ocspUrls'> = {},
): Promise<Certificate> {
  const pathLen = other.basicConstraints?.pathLen;
  const template = createTemplate({
    kind: 'authority',
    issuer: { ...issuerFrom(root.certificate), selfIssued: true },
    ...(pathLen === undefined ? {} : { pathLen }),
    ...pointers,
  });
  const linted = prepare(template, {
    subjectDer: other.subjectDer,
    spkiDer: other.spkiDer,
    issuedAt,
    notAfter: Math.min(root.certificate.notAfter, other.notAfter),
  });
  return issue(linted, root.signer);
}
