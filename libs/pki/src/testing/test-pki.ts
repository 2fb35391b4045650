import { createPublicKey, type KeyObject } from 'node:crypto';
import { PLATFORM_ACCOUNT, spiffeId } from '@signet/contracts';
import type { Certificate } from '../certificate.ts';
import { NO_END } from '../der/time.ts';
import { EKU } from '../extensions.ts';
import type { Name } from '../name.ts';
import { keySigner } from '../signer/key-signer.ts';
import type { Signer } from '../signer/signer.ts';
import { type IssuerSet, issuerSet, type PinnedAuthority } from '../verify-peer/issuer-set.ts';
import { type CertificatePlan, makeCertificate, newTestKey, testKeyId } from './make-certificate.ts';

const DAY = 86_400_000;
const YEAR = 365 * DAY;

/** A CA with its key. */
export type TestAuthority = PinnedAuthority & {
  readonly privateKey: KeyObject;
  readonly signer: Signer;
  readonly pem: string;
};

/** A certificate with its key, as TLS clients and servers take them. */
export type TestIdentity = {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
  /** PEM of the leaf, for a server followed by its CA. */
  readonly cert: string;
  /** PEM, PKCS#8, not encrypted. */
  readonly key: string;
};

/** Whatever a test wants otherwise than it should be; `signedBy` is the CA whose names it bears. */
export type LeafChanges = Partial<Omit<CertificatePlan, 'issuer' | 'publicKey' | 'signingKey'>> & {
  readonly signedBy?: TestAuthority;
  readonly privateKey?: KeyObject;
  /** Signs in place of the CA's key: a forgery. */
  readonly forgedBy?: KeyObject;
};

export type AuthorityPlan = Partial<Omit<PinnedAuthority, 'certificate'>> &
  Partial<Omit<CertificatePlan, 'issuer' | 'publicKey' | 'signingKey'>> & {
    readonly signedBy?: TestAuthority;
    readonly privateKey?: KeyObject;
  };

/** Certificates that must be refused, by what is wrong with them. */
export type Defect =
  | 'expired'
  | 'not-yet-valid'
  | 'forged'
  | 'forged-expired'
  | 'wrong-extended-key-usage'
  | 'ca-as-leaf'
  | 'other-account'
  | 'self-signed';

export type TestPki = {
  readonly root: TestAuthority;
  /** The platform's. */
  readonly factory: TestAuthority;
  /** The platform's: issues for every account. */
  readonly issuing: TestAuthority;
  readonly server: TestAuthority;
  /** The issuing CA of the account `rival`, pinned too. */
  readonly rivalIssuing: TestAuthority;
  readonly authorities: readonly TestAuthority[];
  /** All of `authorities`. */
  readonly issuers: IssuerSet;
  readonly trustDomain: string;
  /** PEM of the root: what a client trusts. */
  readonly trustAnchors: string;
  /** A CA below the root (or `signedBy`), or another root; it is in no set until `issuerSet` is called with it. */
  authority(plan: AuthorityPlan): TestAuthority;
  operational(account: string, deviceId: string, changes?: LeafChanges): TestIdentity;
  /** Valid without end, as an IDevID is. */
  bootstrap(deviceId: string, changes?: LeafChanges): TestIdentity;
  /** A registration certificate of an account, signed by the platform's factory CA. */
  registration(account: string, changes?: LeafChanges): TestIdentity;
  /** By default for `localhost` and `127.0.0.1`. */
  serverIdentity(names?: readonly string[], changes?: LeafChanges): TestIdentity;
  /** An operational certificate with this defect, else a good one. */
  defective(defect: Defect, account: string, deviceId: string): TestIdentity;
};

export type TestPkiOptions = {
  /** Unix milliseconds around which everything is valid; the present by default. */
  readonly now?: number;
  readonly trustDomain?: string;
};

/** A whole PKI for tests: root, factory, issuing and server CA, and leaves of every kind, wrong ones among them. */
export function createTestPki({
  now = Date.now(),
  trustDomain = 'signet.local',
}: TestPkiOptions = {}): TestPki {
  const base = { now, trustDomain };
  const root = makeAuthority(base, undefined, { kind: 'root', subject: { commonName: 'Test root' } });
  const authority = (plan: AuthorityPlan) =>
    makeAuthority(base, plan.kind === 'root' ? undefined : root, plan);
  const factory = authority({
    kind: 'factory',
    subject: { commonName: 'Test factory CA' },
    notAfter: NO_END,
  });
  const issuing = authority({ kind: 'issuing', subject: { commonName: 'Test issuing CA' } });
  const server = authority({ kind: 'server', subject: { commonName: 'Test server CA' } });
  const rivalIssuing = authority({ account: 'rival', subject: { commonName: 'Rival issuing CA' } });
  const authorities = [root, factory, issuing, server, rivalIssuing];

  const operational: TestPki['operational'] = (account, deviceId, changes = {}) =>
    makeLeaf(base, issuing, {
      subject: { commonName: deviceId, organization: account },
      keyUsage: ['digitalSignature'],
      extKeyUsage: [EKU.clientAuth],
      uris: [spiffeId(trustDomain, account, deviceId)],
      ...changes,
    });
  const bootstrap: TestPki['bootstrap'] = (deviceId, changes = {}) =>
    makeLeaf(base, factory, {
      subject: { commonName: deviceId },
      keyUsage: ['digitalSignature'],
      notAfter: NO_END,
      ...changes,
    });
  const registration: TestPki['registration'] = (account, changes = {}) =>
    makeLeaf(base, factory, {
      subject: { commonName: 'register', organization: account },
      keyUsage: ['digitalSignature'],
      extKeyUsage: [EKU.clientAuth, EKU.registration],
      ...changes,
    });
  const serverIdentity: TestPki['serverIdentity'] = (names = ['localhost', '127.0.0.1'], changes = {}) => {
    const leaf = makeLeaf(base, server, {
      subject: { commonName: names[0] ?? 'server' },
      keyUsage: ['digitalSignature'],
      extKeyUsage: [EKU.serverAuth],
      names,
      ...changes,
    });
    return { ...leaf, cert: leaf.cert + (changes.signedBy ?? server).pem };
  };
  const defective: TestPki['defective'] = (defect, account, deviceId) => {
    if (defect === 'self-signed') {
      const subject = { commonName: deviceId, organization: account };
      const itself = makeAuthority(base, undefined, { subject });
      return operational(account, deviceId, { privateKey: itself.privateKey, signedBy: itself });
    }
    const past = { notBefore: now - 2 * YEAR, notAfter: now - DAY };
    const changes: Record<Exclude<Defect, 'self-signed'>, LeafChanges> = {
      expired: past,
      'not-yet-valid': { notBefore: now + DAY },
      forged: { forgedBy: newTestKey() },
      'forged-expired': { forgedBy: newTestKey(), ...past },
      'wrong-extended-key-usage': { extKeyUsage: [EKU.serverAuth] },
      'ca-as-leaf': { ca: true },
      'other-account': { signedBy: rivalIssuing },
    };
    return operational(account, deviceId, changes[defect]);
  };
  return {
    root,
    factory,
    issuing,
    server,
    rivalIssuing,
    authorities,
    issuers: issuerSet(authorities, trustDomain),
    trustDomain,
    trustAnchors: root.pem,
    authority,
    operational,
    bootstrap,
    registration,
    serverIdentity,
    defective,
  };
}

type Base = { readonly now: number; readonly trustDomain: string };

function makeAuthority({ now }: Base, root: TestAuthority | undefined, plan: AuthorityPlan): TestAuthority {
  const {
    kind = 'issuing',
    account = PLATFORM_ACCOUNT,
    state = 'active',
    signedBy = root,
    ...changes
  } = plan;
  const privateKey = plan.privateKey ?? newTestKey();
  const publicKey = createPublicKey(privateKey);
  const subject: Name = plan.subject ?? { commonName: `Test ${kind} CA ${testKeyId(publicKey).slice(0, 8)}` };
  const subjectKeyId = testKeyId(publicKey);
  const certificate = makeCertificate({
    ca: true,
    keyUsage: ['keyCertSign', 'cRLSign'],
    notBefore: now - DAY,
    notAfter: now + 10 * YEAR,
    subjectKeyId,
    authorityKeyId: signedBy?.certificate.subjectKeyId ?? subjectKeyId,
    ...changes,
    subject,
    publicKey,
    issuer: signedBy?.certificate.subject ?? subject,
    signingKey: signedBy?.privateKey ?? privateKey,
  });
  return {
    certificate,
    kind,
    account,
    state,
    privateKey,
    signer: keySigner(privateKey),
    pem: certificate.pem(),
  };
}

function makeLeaf(
  { now }: Base,
  issuer: TestAuthority,
  {
    signedBy = issuer,
    forgedBy,
    privateKey = newTestKey(),
    ...changes
  }: LeafChanges & { readonly subject: Name },
): TestIdentity {
  const publicKey = createPublicKey(privateKey);
  const certificate = makeCertificate({
    notBefore: now - 300_000,
    notAfter: now + 90 * DAY,
    subjectKeyId: testKeyId(publicKey),
    authorityKeyId: signedBy.certificate.subjectKeyId,
    ...changes,
    publicKey,
    issuer: signedBy.certificate.subject,
    signingKey: forgedBy ?? signedBy.privateKey,
  });
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  return { certificate, privateKey, cert: certificate.pem(), key };
}
