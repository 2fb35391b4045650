import type { TemplateRequest } from '@signet/pki';
import type { PublicUrls } from '../certificate/leaf-signer.ts';

/** Where a certificate says that its issuer's CRL, certificate and OCSP are (RFC 5280 §4.2.1.13, §4.2.2.1). */
export type Pointers = Pick<TemplateRequest, 'crlUrls' | 'caIssuerUrls' | 'ocspUrls'>;

/** Of what a CA signs whose key is at hand, and which therefore answers OCSP too. */
export function pointersTo(urls: PublicUrls, issuerId: string): Pointers {
  return {
    crlUrls: [urls.crlOf(issuerId)],
    caIssuerUrls: [urls.certificateOf(issuerId)],
    ocspUrls: [urls.ocsp],
  };
}
