import type { Certificate } from '../certificate.ts';
import { exportSpki } from '../keys.ts';
import type { Name } from '../name.ts';
import type { Signer } from '../signer/signer.ts';
import { issue } from './issue.ts';
import { prepare } from './prepare.ts';
import { createTemplate, rootIssuer } from './template.ts';

/**
 * Makes a self-signed root. `subject`: the bytes of a name that there is already stay as they are. Without `pathLen` any
 * number of CAs may follow: verifiers that count a root's own cross certificates (Go, GnuTLS) refuse them below `1`.
 * Times in Unix milliseconds.
 */
export async function issueRoot(request: {
  readonly subject: Name | Uint8Array;
  readonly signer: Signer;
  readonly issuedAt: number;
  readonly notAfter: number;
  readonly pathLen?: number;
}): Promise<Certificate> {
  const { subject, signer, issuedAt, notAfter, pathLen } = request;
  const issuer = rootIssuer({ subject, publicKey: signer.publicKey, notAfter });
  const template = createTemplate({
    kind: 'authority',
    issuer,
    ...(pathLen === undefined ? {} : { pathLen }),
  });
  const linted = prepare(template, {
    subjectDer: issuer.subjectDer,
    spkiDer: exportSpki(signer.publicKey),
    issuedAt,
    notAfter,
  });
  return issue(linted, signer);
}
