export { type CertificatePlan, makeCertificate, newTestKey, testKeyId } from './testing/make-certificate.ts';
export {
  type AuthorityPlan,
  createTestPki,
  type Defect,
  type LeafChanges,
  type TestAuthority,
  type TestIdentity,
  type TestPki,
  type TestPkiOptions,
} from './testing/test-pki.ts';
