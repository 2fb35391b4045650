import { createTestPki, makeCertificate, type TestAuthority } from '@signet/pki/testing';
import { describe, expect, it } from 'vitest';
import { checkIssuer } from './issuer-checks.ts';
import { issuerSet } from './issuer-set.ts';

const DAY = 86_400_000;
const now = Date.UTC(2026, 5, 1);
const pki = createTestPki({ now });
const past = { notAfter: now - DAY };

/** What is found of `issuing` where all of these are pinned. */
function check(issuing: TestAuthority, ...others: readonly TestAuthority[]) {
  const { certificate } = pki.operational('acme', 'dev-1', { signedBy: issuing });
  const [issuer] = issuerSet([issuing, ...others], 'signet.local').candidates(certificate);
  if (issuer === undefined) throw new Error('the issuer is pinned');
  return checkIssuer(issuer, now, 'signet');
}

/** `authority` once more, by its own key under its own name, but signed by `signer`. */
function crossSigned(authority: TestAuthority, signer: TestAuthority): TestAuthority {
  const { certificate, privateKey } = authority;
  return {
    ...authority,
    certificate: makeCertificate({
      subject: certificate.subject,
      publicKey: certificate.publicKey,
      subjectKeyId: certificate.subjectKeyId,
      issuer: signer.certificate.subject,
      signingKey: signer.privateKey,
      authorityKeyId: signer.certificate.subjectKeyId,
      notBefore: now - DAY,
      notAfter: now + DAY,
      ca: true,
    }),
    privateKey,
  };
}

const root = (commonName: string, changes: { notAfter?: number; pathLen?: number } = {}): TestAuthority =>
  pki.authority({ kind: 'root', subject: { commonName }, ...changes });

describe('the CAs above an issuer', () => {
  it('count where they are of its account or of the platform', () => {
    const revoked = { ...pki.root, state: 'revoked' } as const;
    const own = pki.authority({ account: 'acme' });
    expect(check(own, pki.root)).toBeUndefined();
    expect(check(own, revoked)).toMatchObject({ code: 'issuer-disabled' });
    expect(check(own, { ...revoked, account: 'acme' })).toMatchObject({ code: 'issuer-disabled' });
  });

  it('F66: do not count where another tenant pinned them: its copy of a root undoes nothing', () => {
    expect(check(pki.issuing, { ...pki.root, state: 'revoked', account: 'rival' })).toBeUndefined();
  });

  it('suffice if one of them is good: the old root is out, and the new one has signed the CA too', () => {
    const oldRoot = root('Root', past);
    const newRoot = root('Next root');
    const issuing = pki.authority({ signedBy: oldRoot });
    expect(check(issuing, oldRoot)).toMatchObject({ code: 'issuer-expired' });
    expect(check(issuing, oldRoot, crossSigned(oldRoot, newRoot), newRoot)).toBeUndefined();
  });

  it('may be a root renewed under its key: its expired certificate is in nobody’s way', () => {
    const expired = root('Root', past);
    const renewed = crossSigned(expired, expired);
    const issuing = pki.authority({ signedBy: expired });
    expect(check(issuing, expired, renewed)).toBeUndefined();
    expect(check(issuing, renewed, expired)).toBeUndefined();
  });

  it('may have signed each other', () => {
    const [one, other] = [root('One'), root('Other')];
    const issuing = pki.authority({ signedBy: one });
    expect(check(issuing, crossSigned(one, other), crossSigned(other, one))).toBeUndefined();
  });

  it('do not count towards pathLen where a CA goes on under its own name (RFC 5280 §4.2.1.9)', () => {
    const oldRoot = root('Root', { pathLen: 1 });
    const newRoot = crossSigned(root('Root'), oldRoot);
    const issuing = pki.authority({ signedBy: newRoot });
    expect(check(issuing, newRoot, oldRoot)).toBeUndefined();
    const between = crossSigned(root('Between'), oldRoot);
    expect(check(pki.authority({ signedBy: between }), between, oldRoot)).toMatchObject({
      code: 'path-too-long',
    });
  });

  it('are at most eight', () => {
    const chain = [root('CA 0')];
    for (let i = 1; i <= 8; i++) {
      const signedBy = chain[0] as TestAuthority;
      chain.unshift(pki.authority({ subject: { commonName: `CA ${i}` }, signedBy }));
    }
    const [lowest, ...above] = chain as [TestAuthority, ...TestAuthority[]];
    expect(check(lowest, ...above)).toMatchObject({ code: 'path-too-long' });
    expect(check(above[0] as TestAuthority, ...above.slice(1))).toBeUndefined();
  });
});
