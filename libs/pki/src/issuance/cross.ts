import type { Certificate } from '../certificate.ts';
import type { Signer } from '../signer/signer.ts';
import { issue } from './issue.ts';
import { prepare } from './prepare.ts';
import { createTemplate, issuerFrom, type TemplateRequest } from './template.ts';

type Pointers = Pick<TemplateRequest, 'crlUrls' | 'caIssuerUrls' | 'ocspUrls'>;
type Root = { readonly certificate: Certificate; readonly signer: Signer };

/**
 * Certifies the key of another root of the same name (RFC 4210 §4.4): the old root's with the new key, or the new
 * root's with the old one. `pointers`: where the CRL of `root` is. It ends with the first of the two, and allows no more
 * CAs below it than either. Throws `not-issuable` and `lint` as `prepare` does.
 */
export function issueCross(
  root: Root,
  other: Certificate,
  issuedAt: number,
  pointers: Pointers = {},
): Promise<Certificate> {
  const bounds = [root.certificate, other].map(
    ({ basicConstraints }) => basicConstraints?.pathLen ?? Number.POSITIVE_INFINITY,
  );
  return certify(root, other, issuedAt, Math.min(...bounds), pointers, true);
}

/**
 * Certifies a CA anew by a root that replaces the one which did so before: name, key and key id stay, so that what it
 * signed stays good. It ends with the root at the latest. Throws `not-issuable` and `lint` as `prepare` does.
 */
export function recertify(
  root: Root,
  authority: Certificate,
  issuedAt: number,
  pointers: Pointers = {},
): Promise<Certificate> {
  const { pathLen = Number.POSITIVE_INFINITY } = authority.basicConstraints ?? {};
  const { pathLen: most = Number.POSITIVE_INFINITY } = root.certificate.basicConstraints ?? {};
  return certify(root, authority, issuedAt, Math.min(pathLen, Math.max(most - 1, 0)), pointers, false);
}

async function certify(
  { certificate, signer }: Root,
  continues: Certificate,
  issuedAt: number,
  pathLen: number,
  pointers: Pointers,
  isSelfIssued: boolean,
): Promise<Certificate> {
  const issuer = issuerFrom(certificate);
  const template = createTemplate({
    kind: 'authority',
    issuer: isSelfIssued ? { ...issuer, selfIssued: true } : issuer,
    continues,
    ...(Number.isFinite(pathLen) ? { pathLen } : {}),
    ...pointers,
  });
  const { subjectDer, spkiDer } = continues;
  const notAfter = Math.min(certificate.notAfter, continues.notAfter);
  return issue(prepare(template, { subjectDer, spkiDer, issuedAt, notAfter }), signer);
}
