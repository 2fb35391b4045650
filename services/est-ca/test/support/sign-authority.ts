import {
  type Certificate,
  createTemplate,
  decodePem,
  issue,
  parseCsr,
  prepare,
  type Signer,
} from '@signet/pki';

/** Certifies the CA that a CSR asks for. */
export function signAuthority(
  root: { readonly certificate: Certificate; readonly signer: Signer },
  pem: string,
): Promise<Certificate> {
  const csr = parseCsr(decodePem(pem, 'CERTIFICATE REQUEST'));
  const linted = prepare(createTemplate({ kind: 'authority', issuer: root.certificate, pathLen: 0 }), {
    subjectDer: csr.subjectDer,
    spkiDer: csr.spkiDer,
    issuedAt: Date.now(),
    notAfter: Date.now() + 1000 * 86_400_000,
  });
  return issue(linted, root.signer);
}
