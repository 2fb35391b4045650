import type { Certificate } from '../certificate.ts';
import type { NamesToEncode } from '../encode-extensions.ts';
import { exportSpki } from '../keys.ts';
import type { Name } from '../name.ts';
import type { Signer } from '../signer/signer.ts';
import { issue } from './issue.ts';
import { BACKDATED_MS, prepare } from './prepare.ts';
import { createTemplate, rootIssuer } from './template.ts';

/**
 * Makes a TLS certificate of a server that no CA vouches for: whoever trusts it knows its fingerprint. Times in Unix
 * milliseconds.
 */
export function issueSelfSigned(request: {
  readonly subject: Name;
  readonly sans: NamesToEncode;
  readonly signer: Signer;
  readonly notBefore: number;
  readonly notAfter: number;
}): Promise<Certificate> {
  const { subject, sans, signer, notBefore, notAfter } = request;
  const issuer = rootIssuer({ subject, publicKey: signer.publicKey, notAfter });
  const linted = prepare(createTemplate({ kind: 'server', issuer }), {
    subjectDer: issuer.subjectDer,
    spkiDer: exportSpki(signer.publicKey),
    sans,
    issuedAt: notBefore + BACKDATED_MS,
    notAfter,
  });
  return issue(linted, signer);
}
