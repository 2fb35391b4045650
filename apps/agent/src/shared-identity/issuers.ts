import { type Certificate, decodePemBlocks, parseCertificate, verifyCertificateSignature } from '@signet/pki';

/** The certificates of a PEM text, in its order. @throws PkiError */
export function certificatesIn(pem: string): Certificate[] {
  return decodePemBlocks(pem)
    .filter(({ label }) => label === 'CERTIFICATE')
    .map(({ der }) => parseCertificate(der));
}

export type Issuers = {
  /** Who has signed the certificate itself. */
  readonly direct: Certificate | undefined;
  /** From the leaf's issuer upwards, without the root. */
  readonly chain: readonly Certificate[];
  /** False where an issuer is not among the candidates. */
  readonly isComplete: boolean;
};

/** The way from a certificate to a root, by signatures, through what certificates are known. */
export function issuersOf(leaf: Certificate, candidates: readonly Certificate[]): Issuers {
  const chain: Certificate[] = [];
  const direct = candidates.find((candidate) => isSignedBy(leaf, candidate));
  for (let certificate = leaf; ; ) {
    const issuer = candidates.find((candidate) => isSignedBy(certificate, candidate));
    if (issuer === undefined) return { direct, chain, isComplete: false };
    if (isSignedBy(issuer, issuer)) return { direct, chain, isComplete: true };
    if (chain.includes(issuer)) return { direct, chain, isComplete: false };
    chain.push(issuer);
    certificate = issuer;
  }
}

function isSignedBy(certificate: Certificate, issuer: Certificate): boolean {
  return (
    Buffer.compare(certificate.issuerDer, issuer.subjectDer) === 0 &&
    verifyCertificateSignature(certificate, issuer)
  );
}
