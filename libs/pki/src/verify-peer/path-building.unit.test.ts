import { createTestPki, makeCertificate, type TestAuthority } from '@signet/pki/testing';
import { describe, expect, it } from 'vitest';
import { parseCertificate } from '../certificate.ts';
import { issuerSet } from './issuer-set.ts';
import { verifyPeer } from './verify-peer.ts';
import { MAX_SIGNATURES, MAX_VISITS, Work } from './work.ts';

const DAY = 86_400_000;
const now = Date.UTC(2026, 5, 1);
const pki = createTestPki({ now });
const subject = { commonName: 'Tenant CA' };

/** A CA named "Tenant CA", below another of that name, that says nothing of whose key signed it. */
function ca(key: TestAuthority, signer: TestAuthority, subjectKeyId: string): TestAuthority {
  const certificate = makeCertificate({
    ...{ subject, issuer: subject, subjectKeyId, ca: true },
    publicKey: key.certificate.publicKey,
    signingKey: signer.privateKey,
    notBefore: now - DAY,
    notAfter: now + DAY,
  });
  return { ...key, kind: 'factory', account: 'tenant', certificate };
}

const keyOf = () => pki.authority({ kind: 'factory', account: 'tenant', subject });
const idOf = (i: number) => i.toString(16).padStart(40, '0');

/** A device of the tenant's making: it does not say which of the CAs signed it. */
function deviceOf(signer: TestAuthority) {
  return makeCertificate({
    ...{ subject: { commonName: 'dev-1' }, issuer: subject, signingKey: signer.privateKey },
    publicKey: pki.root.certificate.publicKey,
    notBefore: now - DAY,
    notAfter: now + DAY,
  });
}

function verify(leaf: ReturnType<typeof deviceOf>, authorities: readonly TestAuthority[]) {
  // as in a listener: read anew, so that nothing is known of it
  const issuers = issuerSet(
    authorities.map((one) => ({ ...one, certificate: parseCertificate(one.certificate.der) })),
    'signet.local',
  );
  const work = new Work();
  const startedAt = performance.now();
  const verdict = verifyPeer({
    ...{ leaf: leaf.der, issuers, purposes: ['bootstrap'], now, work },
    denied: () => undefined,
  });
  return { verdict, work, ms: performance.now() - startedAt };
}

describe('one handshake against what a tenant pinned', () => {
  it('takes bounded work with 100 CAs of one name and one key but different key ids', ({ annotate }) => {
    const key = keyOf();
    const authorities = Array.from({ length: 100 }, (_, i) => ca(key, key, idOf(i)));
    const { verdict, work, ms } = verify(deviceOf(key), authorities);
    expect(verdict.ok).toBe(true);
    expect(work.signatures).toBe(1);
    expect(work.visits).toBe(0);
    void annotate(`${ms.toFixed(2)} ms`);
  });

  it('takes bounded work with 100 CAs of which each is signed by the next', ({ annotate }) => {
    const keys = Array.from({ length: 100 }, keyOf);
    const authorities = keys.map((key, i) => ca(key, keys[(i + 1) % 100] as TestAuthority, idOf(i)));
    const { verdict, work, ms } = verify(deviceOf(keys[0] as TestAuthority), authorities);
    expect(verdict).toMatchObject({ ok: false, code: 'path-too-long' });
    expect(work.signatures).toBeLessThanOrEqual(2 * MAX_SIGNATURES);
    expect(work.visits).toBeLessThanOrEqual(MAX_VISITS);
    void annotate(`${ms.toFixed(2)} ms`);
  });

  it('takes bounded work with 100 CAs of two keys that signed each other, fifty times each', ({
    annotate,
  }) => {
    const [one, other] = [keyOf(), keyOf()];
    const authorities = Array.from({ length: 100 }, (_, i) =>
      i % 2 === 0 ? ca(one, other, idOf(i)) : ca(other, one, idOf(i)),
    );
    const { verdict, work, ms } = verify(deviceOf(one), authorities);
    expect(verdict.ok).toBe(false);
    expect(work.signatures).toBeLessThanOrEqual(2 * MAX_SIGNATURES);
    expect(work.visits).toBeLessThanOrEqual(MAX_VISITS);
    void annotate(`${ms.toFixed(2)} ms`);
  });

  it('does not keep a device of another tenant out whose CA has the same name', () => {
    const key = keyOf();
    const squatters = Array.from({ length: 100 }, (_, i) => ca(keyOf(), keyOf(), idOf(i)));
    const own = { ...ca(key, key, idOf(1000)), account: 'other' };
    const { verdict, work } = verify(deviceOf(key), [...squatters, own]);
    expect(verdict).toMatchObject({ ok: true, issuer: { account: 'other' } });
    expect(work.signatures).toBeLessThanOrEqual(MAX_SIGNATURES);
  });

  it('verifies no signature when CAs are pinned, and each of them once however often they are pinned', () => {
    const keys = Array.from({ length: 20 }, keyOf);
    const root = pki.authority({ kind: 'root', account: 'tenant', subject: { commonName: 'Root' } });
    const below = keys.map((key) => pki.authority({ ...key, subject, signedBy: root }));
    const leaf = pki.bootstrap('dev-1', { signedBy: below[0] as TestAuthority });
    const counts = [1, 2].map(() => {
      const work = new Work();
      const verdict = verifyPeer({
        ...{
          leaf: leaf.certificate.der,
          issuers: issuerSet([...below, root], 'signet.local'),
          purposes: ['bootstrap'],
          now,
          work,
        },
        denied: () => undefined,
      });
      expect(verdict.ok).toBe(true);
      return work.signatures;
    });
    expect(counts).toEqual([2, 1]);
  });
});
