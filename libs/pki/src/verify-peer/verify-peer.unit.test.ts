import { generateKeyPairSync, hash } from 'node:crypto';
import { EKU, type PinnedAuthority, parseCertificatePem } from '@signet/pki';
import { createTestPki, makeCertificate, newTestKey, type TestIdentity } from '@signet/pki/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { issuerSet } from './issuer-set.ts';
import type { VerifiedPeer, VerifyPeerInput } from './peer.ts';
import { verifyPeer } from './verify-peer.ts';

const now = Date.UTC(2026, 5, 1);
const pki = createTestPki({ now });
const DAY = 86_400_000;

function check(peer: TestIdentity | Uint8Array | undefined, changes: Partial<VerifyPeerInput> = {}) {
  const leaf = peer === undefined || peer instanceof Uint8Array ? peer : peer.certificate.der;
  return verifyPeer({
    leaf,
    issuers: pki.issuers,
    purposes: ['operational'],
    now,
    denied: () => undefined,
    ...changes,
  });
}

const pin = (...authorities: readonly PinnedAuthority[]) => ({
  issuers: issuerSet(authorities, 'signet.local'),
});

describe('a peer that is admitted', () => {
  it('F7: is admitted by a replica that knows nothing but the CA certificate', () => {
    const device = pki.operational('acme', 'dev-1');
    const certificate = parseCertificatePem(pki.issuing.pem);
    const replica = pin({ certificate, kind: 'issuing', account: 'signet', state: 'active' });
    expect(check(device, replica)).toMatchObject({
      ok: true,
      purpose: 'operational',
      account: 'acme',
      deviceId: 'dev-1',
      expired: false,
      facts: {
        fingerprint: device.certificate.fingerprint,
        publicKeyHash: device.certificate.publicKeyHash,
        serialNumber: device.certificate.serialNumber,
        issuerKeyId: pki.issuing.certificate.subjectKeyId,
        account: 'acme',
        deviceId: 'dev-1',
      },
    });
  });

  it('is admitted by a bootstrap certificate where bootstrap is asked for, without an account', () => {
    const answer = check(pki.bootstrap('dev-1'), { purposes: ['bootstrap'] });
    expect(answer).toMatchObject({ ok: true, purpose: 'bootstrap', deviceId: 'dev-1' });
    expect(answer).not.toHaveProperty('account');
  });

  it('F60: is admitted by a bootstrap certificate in the year 9999', () => {
    const later = { now: Date.UTC(9999, 11, 31, 23, 59, 59), purposes: ['bootstrap'] as const };
    const root = pki.factory;
    expect(check(pki.bootstrap('dev-1'), { ...later, ...pin(root) })).toMatchObject({ ok: true });
  });

  it('is admitted from a CA of its own account', () => {
    const own = pki.authority({ account: 'acme' });
    expect(check(pki.operational('acme', 'dev-1', { signedBy: own }), pin(own))).toMatchObject({ ok: true });
  });

  it('is found where its certificate or its CA has no key id', () => {
    const bare = pki.authority({ subjectKeyId: undefined, subject: { commonName: 'Bare CA' } });
    const withId = pki.operational('acme', 'dev-1', { signedBy: bare, authorityKeyId: 'aa' });
    expect(check(withId, pin(bare))).toMatchObject({
      ok: true,
      facts: { issuerKeyId: bare.certificate.publicKeyHash },
    });
    expect(check(pki.operational('acme', 'dev-1', { authorityKeyId: undefined }))).toMatchObject({
      ok: true,
    });
  });

  it('is told apart by key where two CAs bear one name', () => {
    const subject = { commonName: 'Twin CA' };
    const [one, other, stranger] = [1, 2, 3].map(() => pki.authority({ subject }));
    if (one === undefined || other === undefined || stranger === undefined) throw new Error('three CAs');
    for (const signedBy of [one, other])
      for (const changes of [{ signedBy }, { signedBy, authorityKeyId: undefined }]) {
        const answer = check(pki.operational('acme', 'dev-1', changes), pin(one, other));
        expect(answer).toMatchObject({ ok: true, issuer: { certificate: signedBy.certificate } });
      }
    const unknown = pki.operational('acme', 'dev-1', { signedBy: stranger });
    expect(check(unknown, pin(one, other))).toMatchObject({ ok: false, code: 'unknown-issuer' });
  });

  it('passes a rollover: the old and the new CA of one name, until the old one goes', () => {
    const subject = { commonName: 'Rolling CA' };
    const old = pki.authority({ subject });
    const next = pki.authority({ subject });
    const device = pki.operational('acme', 'dev-1', { signedBy: old });
    expect(check(device, pin(old))).toMatchObject({ ok: true });
    expect(check(device, pin(old, next))).toMatchObject({ ok: true });
    expect(check(device, pin(next))).toMatchObject({ code: 'unknown-issuer' });
    const renewed = pki.operational('acme', 'dev-1', { signedBy: next });
    expect(check(renewed, pin(old, next))).toMatchObject({ ok: true });
    expect(check(renewed, pin(old))).toMatchObject({ code: 'unknown-issuer' });
  });

  it('passes the renewal of a CA under its key, whichever of its certificates is still good', () => {
    const subject = { commonName: 'Renewed CA' };
    const old = pki.authority({ subject, notAfter: now - DAY });
    const renewed = pki.authority({ subject, privateKey: old.privateKey });
    const device = pki.operational('acme', 'dev-1', { signedBy: old });
    expect(check(device, pin(old, renewed))).toMatchObject({ ok: true });
    expect(check(device, pin(old))).toMatchObject({ code: 'issuer-expired' });
  });
});

describe('a peer that is refused', () => {
  const refused = (code: string, message: string | RegExp) => ({
    ok: false,
    code,
    message: typeof message === 'string' ? message : expect.stringMatching(message),
  });

  it('without a certificate', () => {
    expect(check(undefined)).toEqual(refused('no-certificate', 'certificate: the peer showed none'));
  });

  it('F50: with what is no certificate', () => {
    const answer = check(Uint8Array.of(0x30, 0x80, 0, 0));
    expect(answer).toMatchObject(refused('malformed-certificate', 'certificate: an indefinite length (BER)'));
    expect(answer).toHaveProperty('fingerprint', hash('sha256', Uint8Array.of(0x30, 0x80, 0, 0), 'hex'));
  });

  it('from a CA that is not ours, told by the issuer that the certificate names', () => {
    const stranger = createTestPki({ now }).operational('acme', 'dev-1');
    expect(check(stranger)).toEqual({
      ...refused('unknown-issuer', /^issuer: Test issuing CA \([0-9a-f]{40}\) is not a CA of ours$/),
      fingerprint: stranger.certificate.fingerprint,
      issuer: `Test issuing CA (${stranger.certificate.authorityKeyId})`,
    });
  });

  it('whose issuer bears a name made to mislead: it is cut short and cleaned before an operator sees it', () => {
    const signedBy = pki.authority({ subject: { commonName: `\u001b[2J\n${'x'.repeat(5000)}` } });
    const answer = check(pki.operational('acme', 'dev-1', { signedBy, authorityKeyId: 'aa'.repeat(200) }));
    expect(answer).toMatchObject({ issuer: `?[2J?${'x'.repeat(95)} (${'aa'.repeat(50)})` });
  });

  it('self-signed', () => {
    expect(check(pki.defective('self-signed', 'acme', 'dev-1'))).toMatchObject({ code: 'unknown-issuer' });
  });

  it('with a forged signature under a true name and key id, and then without a device id', () => {
    const answer = check(pki.defective('forged', 'acme', 'dev-1'));
    expect(answer).toMatchObject(refused('bad-signature', /did not sign this$/));
    expect(answer).not.toHaveProperty('deviceId');
  });

  it('forged and expired: as forged, even where expired ones are let through', () => {
    const forged = pki.defective('forged-expired', 'acme', 'dev-1');
    expect(check(forged)).toMatchObject({ code: 'bad-signature' });
    expect(check(forged, { allowExpired: true })).toMatchObject({ ok: false, code: 'bad-signature' });
  });

  it('F8: from the moment after notAfter on, and until notBefore', () => {
    const device = pki.operational('acme', 'dev-1');
    const { notBefore, notAfter } = device.certificate;
    expect(check(device, { now: notBefore - 1 })).toMatchObject(
      refused('not-yet-valid', 'notBefore: not valid before 2026-05-31T23:55:00.000Z'),
    );
    expect(check(device, { now: notBefore })).toMatchObject({ ok: true });
    expect(check(device, { now: notAfter })).toMatchObject({ ok: true });
    expect(check(device, { now: notAfter + 1 })).toMatchObject({
      ...refused('expired', 'notAfter: expired at 2026-08-30T00:00:00.000Z'),
      deviceId: 'dev-1',
      account: 'acme',
    });
  });

  it('from an expired CA, from one whose time has not come, and below an expired root', () => {
    const expired = pki.authority({ notAfter: now - DAY });
    const early = pki.authority({ notBefore: now + DAY });
    for (const signedBy of [expired, early])
      expect(check(pki.operational('acme', 'd', { signedBy }), pin(signedBy))).toMatchObject({
        code: 'issuer-expired',
      });
    const root = pki.authority({ kind: 'root', notAfter: now - DAY });
    const issuing = pki.authority({ signedBy: root });
    expect(check(pki.operational('acme', 'd', { signedBy: issuing }), pin(root, issuing))).toMatchObject({
      code: 'issuer-expired',
    });
  });

  it('F49: from a CA that is disabled or revoked, or below one', () => {
    const device = pki.operational('acme', 'dev-1');
    for (const state of ['disabled', 'revoked'] as const) {
      expect(check(device, pin({ ...pki.issuing, state }))).toMatchObject({
        ...refused('issuer-disabled', new RegExp(`^issuer Test issuing CA .*: is ${state}$`)),
        deviceId: 'dev-1',
      });
      expect(check(device, pin(pki.issuing, { ...pki.root, state }))).toMatchObject({
        code: 'issuer-disabled',
      });
    }
  });

  it('from what is pinned but is no CA, may not sign, or bears a critical extension that is not known', () => {
    const wrong = [
      { ca: false },
      { keyUsage: ['cRLSign'] as const },
      { unknownCritical: '2.5.29.36' },
      // name constraints without any
      { unknownCritical: '2.5.29.30' },
    ];
    for (const changes of wrong) {
      const signedBy = pki.authority(changes);
      expect(check(pki.operational('acme', 'd', { signedBy }), pin(signedBy))).toMatchObject({
        code: 'issuer-disabled',
      });
    }
  });

  it('that is a CA itself', () => {
    expect(check(pki.defective('ca-as-leaf', 'acme', 'dev-1'))).toMatchObject(
      refused('not-a-leaf', 'basicConstraints: is a CA'),
    );
  });

  it('below more CAs than a pinned one allows', () => {
    const root = pki.authority({ kind: 'root', pathLen: 0 });
    const issuing = pki.authority({ signedBy: root });
    const device = pki.operational('acme', 'dev-1', { signedBy: issuing });
    expect(check(device, pin(root, issuing))).toMatchObject(
      refused('path-too-long', /: pathLen is 0, but 1 CAs stand between it and the certificate$/),
    );
    expect(check(device, pin(issuing))).toMatchObject({ ok: true });
  });

  it('F50: without the key usages of a client', () => {
    const wrong = [{ keyUsage: undefined }, { keyUsage: ['keyEncipherment'] as const }];
    for (const changes of [...wrong, { keyUsage: ['digitalSignature', 'keyCertSign'] as const }])
      expect(check(pki.operational('acme', 'd', changes))).toMatchObject({ code: 'wrong-key-usage' });
    for (const extKeyUsage of [undefined, [EKU.serverAuth], [EKU.any]])
      expect(check(pki.operational('acme', 'd', { extKeyUsage }))).toMatchObject(
        refused('wrong-extended-key-usage', 'extKeyUsage: clientAuth is missing'),
      );
    const idevid = pki.bootstrap('d', { extKeyUsage: [EKU.serverAuth] });
    expect(check(idevid, { purposes: ['bootstrap'] })).toMatchObject({ code: 'wrong-extended-key-usage' });
  });

  it('F50: with a critical extension that nobody knows', () => {
    expect(check(pki.operational('acme', 'd', { unknownCritical: '1.2.3.4' }))).toMatchObject(
      refused('malformed-certificate', 'extensions: critical extension 1.2.3.4 is not known'),
    );
  });

  it('F27, F58: with a certificate for the other purpose, its device still named', () => {
    expect(check(pki.bootstrap('dev-1'))).toMatchObject({
      ...refused('wrong-purpose', 'issuer: a CA of kind factory signs no operational certificates'),
      deviceId: 'dev-1',
    });
    expect(check(pki.operational('acme', 'dev-1'), { purposes: ['bootstrap'] })).toMatchObject({
      ...refused('wrong-purpose', 'issuer: a CA of kind issuing signs no bootstrap certificates'),
      deviceId: 'dev-1',
    });
  });

  it('with a certificate of a server or of the root', () => {
    expect(check(pki.serverIdentity())).toMatchObject({ code: 'wrong-purpose' });
    expect(check(pki.operational('acme', 'd', { signedBy: pki.root }))).toMatchObject({
      code: 'wrong-purpose',
    });
    expect(check(pki.root.certificate.der)).toMatchObject({ ok: false });
    expect(check(pki.issuing.certificate.der)).toMatchObject({ code: 'wrong-purpose' });
  });

  it('F11: where subject and SPIFFE id do not name one device of one account', () => {
    const spiffe = (path: string) => [`spiffe://signet.local/${path}`];
    const organization = 'acme';
    const wrong = [
      { subject: { commonName: 'a/b', organization } },
      { subject: { organization } },
      { subject: { commonName: 'dev-1' } },
      { subject: { commonName: 'dev-1', organization: 'ACME' } },
      { uris: [] },
      { uris: spiffe('acme/device/dev-2') },
      { uris: spiffe('other/device/dev-1') },
      { uris: spiffe('acme/device/dev-1/') },
      { uris: [...spiffe('acme/device/dev-1'), ...spiffe('acme/device/dev-2')] },
      { uris: ['spiffe://signet.local.evil/acme/device/dev-1'] },
    ];
    for (const changes of wrong)
      expect(check(pki.operational('acme', 'dev-1', changes))).toMatchObject({ code: 'bad-identity' });
    const nameless = pki.bootstrap('dev-1', { subject: { commonName: 'not a device id' } });
    expect(check(nameless, { purposes: ['bootstrap'] })).toMatchObject({ code: 'bad-identity' });
  });

  it('F11: of another trust domain, though its CA is pinned and account and device are right', () => {
    const elsewhere = pki.operational('acme', 'dev-1', { uris: ['spiffe://other.test/acme/device/dev-1'] });
    expect(check(elsewhere)).toMatchObject(
      refused('bad-identity', 'subjectAltName: SPIFFE id is not of the trust domain "signet.local"'),
    );
  });

  it('F11: with the name of an account that its CA is not for', () => {
    expect(check(pki.defective('other-account', 'acme', 'dev-1'))).toMatchObject(
      refused('bad-identity', 'subject O: a CA of rival may not vouch for a device of acme'),
    );
  });

  it('F66: from a tenant that pins a CA under the name and key id of another, which harms the other not', () => {
    const { subjectKeyId, subject } = pki.issuing.certificate;
    const clone = pki.authority({ account: 'rival', subject, subjectKeyId });
    const set = pin(clone, pki.issuing);
    expect(check(pki.operational('acme', 'dev-1'), set)).toMatchObject({ ok: true });
    const forged = pki.operational('acme', 'dev-1', { signedBy: clone });
    expect(check(forged, set)).toMatchObject({ code: 'bad-identity' });
  });

  it('F72: on the deny list, which is asked last and with all that is known', () => {
    const device = pki.operational('acme', 'dev-1');
    const answer = check(device, {
      denied: ({ issuerKeyId }) =>
        issuerKeyId === pki.issuing.certificate.subjectKeyId ? 'CA voided' : undefined,
    });
    expect(answer).toMatchObject({ ...refused('denied', 'deny list: CA voided'), deviceId: 'dev-1' });
    const never = () => {
      throw new Error('asked about a peer that is not verified');
    };
    expect(check(pki.defective('forged', 'acme', 'dev-1'), { denied: never })).toMatchObject({ ok: false });
    expect(() => check(device, { denied: never })).toThrow('asked about');
  });
});

it('is not made by anything but verifyPeer: what only looks like a verified peer does not compile', () => {
  const admit = (peer: VerifiedPeer): string => peer.deviceId;
  const answer = check(pki.operational('acme', 'dev-1'));
  if (!answer.ok) throw new Error(answer.message);
  expect(admit(answer)).toBe('dev-1');
  const { certificate, issuer, purpose, deviceId, expired, facts } = answer;
  // @ts-expect-error the brand is missing
  admit({ ok: true, certificate, issuer, purpose, deviceId, expired, facts });
});

describe('an expired certificate where it is let through', () => {
  it('F9: is told from a valid one, and everything else is still verified', () => {
    const allowExpired = true;
    const expired = pki.defective('expired', 'acme', 'dev-1');
    expect(check(expired, { allowExpired })).toMatchObject({ ok: true, expired: true });
    const past = { notBefore: now - 9 * DAY, notAfter: now - DAY };
    const wrong = [
      [{ extKeyUsage: [EKU.serverAuth] }, 'wrong-extended-key-usage'],
      [{ ca: true }, 'not-a-leaf'],
      [{ signedBy: pki.rivalIssuing }, 'bad-identity'],
    ] as const;
    for (const [changes, code] of wrong)
      expect(check(pki.operational('acme', 'd', { ...past, ...changes }), { allowExpired })).toMatchObject({
        code,
      });
    expect(check(pki.defective('not-yet-valid', 'acme', 'd'), { allowExpired })).toMatchObject({
      code: 'not-yet-valid',
    });
    expect(check(expired, { allowExpired, denied: () => 'revoked' })).toMatchObject({ code: 'denied' });
  });
});

describe('tampering', () => {
  it('with any one bit of a certificate gets it refused', () => {
    const { der } = pki.operational('acme', 'dev-1').certificate;
    for (let bit = 0; bit < der.length * 8; bit++) {
      const tampered = Uint8Array.from(der);
      tampered[bit >> 3] = (tampered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      if (check(tampered).ok) expect.fail(`bit ${bit} may be turned`);
    }
  });

  it('never makes it throw, whatever the bytes', () => {
    const { der } = pki.operational('acme', 'dev-1').certificate;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(der.length), (bytes, at) => {
        expect(check(bytes).ok).toBe(false);
        const spliced = Uint8Array.from(Buffer.concat([der.subarray(0, at), bytes, der.subarray(at)]));
        if (bytes.length > 0) expect(check(spliced).ok).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it('cannot bring a key that no one can load into the set', () => {
    const authority = makeCertificate({
      subject: { commonName: 'X25519 CA' },
      issuer: { commonName: 'X25519 CA' },
      publicKey: x25519(),
      signingKey: newTestKey(),
      notBefore: now - DAY,
      notAfter: now + DAY,
      ca: true,
    });
    const set = pin({ certificate: authority, kind: 'issuing', account: 'acme', state: 'active' });
    const device = makeCertificate({
      subject: { commonName: 'dev-1' },
      issuer: { commonName: 'X25519 CA' },
      publicKey: x25519(),
      signingKey: newTestKey(),
      notBefore: now - DAY,
      notAfter: now + DAY,
    });
    expect(check(device.der, set)).toMatchObject({ code: 'bad-signature' });
  });
});

function x25519() {
  return generateKeyPairSync('x25519').publicKey;
}
