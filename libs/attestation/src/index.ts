export { AttestationError, type AttestationErrorCode } from './attestation-error.ts';
export { ATTESTATION_ATTRIBUTE, encodeBundle, parseBundle } from './statement/csr-attribute.ts';
export {
  parseStatementJson,
  statementToJson,
  type TpmStatement,
  TpmStatementJson,
} from './statement/statement.ts';
export {
  type AttestedKey,
  type ReadStatement,
  readStatement,
  verifyStatement,
} from './statement/verify-statement.ts';
export { ALG, CURVE } from './tpm/algorithms.ts';
export { type CertifyInfo, parseCertifyInfo } from './tpm/certify-info.ts';
export {
  type Credential,
  type EndorsementKey,
  endorsementKeyOf,
  makeCredential,
} from './tpm/make-credential.ts';
export { ATTRIBUTE, type ObjectAttribute } from './tpm/object-attributes.ts';
export { nameOf, type PublicArea, parsePublicArea } from './tpm/public-area.ts';
export { TpmReader } from './tpm/reader.ts';
export { verifyTpmSignature } from './tpm/signature.ts';
export { join, sized, u8, u16, u32 } from './tpm/writer.ts';
export { checkAttestationKey } from './trust/attestation-key.ts';
export { type TpmIdentity, tpmIdentity } from './trust/tpm-identity.ts';
export { type TpmCertificateUse, type VouchedTpm, vouchedTpm } from './trust/vendor-chain.ts';
