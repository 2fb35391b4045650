export {
  Certificate,
  parseCertificate,
  parseCertificatePem,
  verifyCertificateSignature,
} from './certificate.ts';
export { decodeCertsOnly, encodeCertsOnly } from './cms/certs-only.ts';
export { type ContentCipher, type WantedEncryption, wantedEncryption } from './cms/decrypt-key.ts';
export { encodeEnvelopedKey, type KeyToEnvelop } from './cms/enveloped-key.ts';
export {
  type Agree,
  agreeWith,
  decryptConfigValue,
  encryptConfigValue,
  isEncryptedConfigValue,
} from './config-value.ts';
export { type CsrRequest, createCsr, createCsrBy, createSignedCsr } from './create-csr.ts';
export { type BuiltCrl, buildCrl, type CrlFacts, type CrlSource } from './crl/build-crl.ts';
export { type CrlInput, createCrl } from './crl/create-crl.ts';
export { type CrlEntry, type CrlReason, type CrlScope, crlReasons } from './crl/crl.ts';
export { CrlFile, type CrlHead } from './crl/crl-file.ts';
export { mergeEntries } from './crl/merge-entries.ts';
export { type Crl, parseCrl, verifyCrlSignature } from './crl/parse-crl.ts';
export {
  type CrlChange,
  type CrlSegment,
  decodeSegment,
  EntrySet,
  encodeSegment,
  joinSegments,
  ListedSerials,
} from './crl/segment.ts';
export { type Csr, type KeylessCsr, MAX_CSR_BYTES, parseCsr, parseKeylessCsr, verifyCsr } from './csr.ts';
export { type AskedExtension, type CsrAttributes, encodeCsrAttributes } from './csr-attributes.ts';
export { DerReader } from './der/reader.ts';
export { TAG } from './der/tags.ts';
export { NO_END } from './der/time.ts';
export { octetString, oid, sequence } from './der/writer.ts';
export { EKU, EXTENSION, type Extension, type KeyUsage, type SubjectAltNames } from './extensions.ts';
export { issueCross, recertify } from './issuance/cross.ts';
export { issue } from './issuance/issue.ts';
export { type Lint, lints } from './issuance/lint.ts';
export {
  BACKDATED_MS,
  type CertificateRequestFacts,
  type LintedCertificate,
  newSerialNumber,
  prepare,
} from './issuance/prepare.ts';
export { issueRoot } from './issuance/root.ts';
export { issueSelfSigned } from './issuance/self-signed.ts';
export {
  type CertificateKind,
  createTemplate,
  issuerFrom,
  type SigningIssuer,
  type Template,
  type TemplateRequest,
} from './issuance/template.ts';
export {
  type AuthorityKeyType,
  authorityKeyTypes,
  checkKey,
  exportSpki,
  generateKeyPair,
  type KeyFacts,
  type KeyKind,
  type KeyPair,
  type KeyType,
  keyIdentifier,
  keyKinds,
  loadPublicKey,
  parseKey,
  publicKeyHash,
} from './keys.ts';
export { encodeName, encodeNameLike, type Name, parseName, textOfAttribute } from './name.ts';
export { comparableName, isSameName } from './name-comparison.ts';
export { nameConstraintsOf, outsideOf } from './name-constraints.ts';
export {
  createOcspFailure,
  createOcspResponse,
  type OcspAnswer,
  type OcspResponder,
} from './ocsp/create-response.ts';
export { issuerFinder } from './ocsp/issuer-ids.ts';
export {
  type CertId,
  MAX_OCSP_REQUEST_BYTES,
  type OcspFailure,
  type OcspRequest,
  type OcspStatus,
} from './ocsp/ocsp.ts';
export { parseOcspRequest } from './ocsp/parse-request.ts';
export { decodeBase64, decodePem, decodePemBlocks, encodePem } from './pem.ts';
export { PinRefusedError, PkiError, type PkiErrorCode } from './pki-error.ts';
export { encodePrivateKey } from './private-key.ts';
export {
  type KnownSignatureAlgorithm,
  type SignatureAlgorithm,
  signatureAlgorithmFor,
  verifySignature,
} from './signature-algorithm.ts';
export { ecdsaDer } from './signer/ecdsa-der.ts';
export { createKeyFile, openKeyFile } from './signer/file-signer.ts';
export { keySigner } from './signer/key-signer.ts';
export { passphraseFile } from './signer/passphrase-file.ts';
export { formatPkcs11Uri, type Pkcs11Uri, parsePkcs11Uri } from './signer/pkcs11/key-uri.ts';
export { openPkcs11Token, type Pkcs11Token } from './signer/pkcs11/token.ts';
export type { SignatureAlgorithmName, Signer } from './signer/signer.ts';
export { isIssuedBy } from './statement/is-issued-by.ts';
export { signStatement } from './statement/sign-statement.ts';
export { StatementError, type StatementFault, verifyStatement } from './statement/verify-statement.ts';
export { deviceTlsOptions, reloadTls, type ServerIdentity } from './verify-peer/device-tls.ts';
export {
  type IssuerSet,
  issuerSet,
  type PinnedAuthority,
  type PinnedIssuer,
} from './verify-peer/issuer-set.ts';
export { lastingPeer } from './verify-peer/lasting-peer.ts';
export type { Purpose } from './verify-peer/leaf-checks.ts';
export { leafOf } from './verify-peer/leaf-of.ts';
export type { PeerFacts, PeerRefusal, VerifiedPeer, VerifyPeerInput } from './verify-peer/peer.ts';
export { verifyPeer } from './verify-peer/verify-peer.ts';
export { Work } from './verify-peer/work.ts';
