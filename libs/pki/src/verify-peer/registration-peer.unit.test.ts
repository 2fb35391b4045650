import { describe, expect, it } from 'vitest';
import { EKU } from '../extensions.ts';
import { createTestPki, type LeafChanges, type TestIdentity } from '../testing/test-pki.ts';
import { issuerSet } from './issuer-set.ts';
import type { Purpose } from './leaf-checks.ts';
import { verifyPeer } from './verify-peer.ts';

const pki = createTestPki();
const rivalFactory = pki.authority({ kind: 'factory', account: 'rival' });
const issuers = issuerSet([...pki.authorities, rivalFactory], 'signet.local');

const shown = (identity: TestIdentity, ...purposes: Purpose[]) =>
  verifyPeer({ leaf: identity.certificate.der, issuers, purposes, now: Date.now(), denied: () => undefined });

const made = (changes?: LeafChanges) => pki.registration('acme', changes);

describe('a registration certificate', () => {
  it('F1: is admitted to registration, as its account', () => {
    expect(shown(made(), 'bootstrap', 'registration')).toMatchObject({
      ok: true,
      purpose: 'registration',
      account: 'acme',
      facts: expect.not.objectContaining({ deviceId: expect.anything() }),
    });
  });

  it.each([
    ['handoff and the provisioning listener', ['bootstrap']],
    ['EST', ['bootstrap', 'operational']],
    ['the gateway and the MQTT listener', ['operational']],
  ] as [string, Purpose[]][])('F1: is refused at %s', (_door, purposes) => {
    expect(shown(made(), ...purposes)).toMatchObject({
      ok: false,
      code: 'wrong-purpose',
      message: 'extKeyUsage: a registration certificate only registers',
    });
  });

  it('F66: is refused where the factory CA of another account signed it', () => {
    expect(shown(made({ signedBy: rivalFactory }), 'registration')).toMatchObject({
      ok: false,
      code: 'bad-identity',
      message: 'subject O: a CA of rival may not vouch for a device of acme',
    });
  });

  it('F1: is none where an issuing CA signed it, or without its extended key usage', () => {
    expect(shown(made({ signedBy: pki.issuing }), 'registration', 'operational')).toMatchObject({
      code: 'wrong-purpose',
    });
    const plain = made({ extKeyUsage: [EKU.clientAuth] });
    expect(shown(plain, 'registration')).toMatchObject({ code: 'wrong-purpose' });
  });

  it('F1: is refused without account, without clientAuth, and past its end', () => {
    expect(shown(made({ subject: { commonName: 'register' } }), 'registration')).toMatchObject({
      code: 'bad-identity',
    });
    expect(shown(made({ extKeyUsage: [EKU.registration] }), 'registration')).toMatchObject({
      code: 'wrong-extended-key-usage',
    });
    const past = { notBefore: Date.now() - 2_000_000, notAfter: Date.now() - 1_000_000 };
    expect(shown(made(past), 'registration')).toMatchObject({ code: 'expired' });
  });
});
