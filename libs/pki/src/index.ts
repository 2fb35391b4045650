export {
  Certificate,
  parseCertificate,
  parseCertificatePem,
  verifyCertificateSignature,
} from './certificate.ts';
export { EKU, EXTENSION, type Extension, type KeyUsage, type SubjectAltNames } from './extensions.ts';
export { encodeName, type Name, parseName } from './name.ts';
export { decodeBase64, decodePem, decodePemBlocks, encodePem } from './pem.ts';
export { PkiError, type PkiErrorCode } from './pki-error.ts';
export {
  type KnownSignatureAlgorithm,
  type SignatureAlgorithm,
  signatureAlgorithmFor,
  verifySignature,
} from './signature-algorithm.ts';
export type { SignatureAlgorithmName, Signer } from './signer/signer.ts';
