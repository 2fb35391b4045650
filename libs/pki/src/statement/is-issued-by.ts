import { type Certificate, verifyCertificateSignature } from '../certificate.ts';
import { isSameName } from '../name-comparison.ts';

/**
 * Whether a CA gave this certificate (RFC 5280 §6.1.3, §6.1.4): name, signature, basicConstraints with its pathLen, key
 * usage, no critical extension that is not known. `below`: how many CAs are between it and the leaf. Times are not
 * looked at.
 */
export function isIssuedBy(certificate: Certificate, issuer: Certificate, below: number): boolean {
  const { basicConstraints, keyUsage, unknownCritical } = issuer;
  return (
    basicConstraints?.ca === true &&
    (basicConstraints.pathLen === undefined || basicConstraints.pathLen >= below) &&
    keyUsage?.has('keyCertSign') !== false &&
    unknownCritical.length === 0 &&
    isSameName(certificate.issuerDer, issuer.subjectDer) &&
    verifyCertificateSignature(certificate, issuer)
  );
}
