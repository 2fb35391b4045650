import { generateKeyPairSync } from 'node:crypto';
import { createCsr, generateKeyPair } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { expectRefusal } from './support/scene.ts';

const DAY = 86_400_000;
let time = Date.now();
let est: EstFixture;
beforeAll(async () => {
  est = await openEstFixture({ now: () => time });
});
afterAll(() => est?.[Symbol.asyncDispose]());

/** A device after its handoff: its grant and a new key for its operational certificate. */
async function handedOver(deviceId: string, options: Parameters<EstFixture['grantFor']>[1] = {}) {
  const device = await est.bootstrapDevice(deviceId);
  const grant = await est.grantFor(device, options);
  return {
    device,
    grant,
    identity: { certificate: device.certificate, privateKey: device.keys.privateKey },
    basic: [deviceId, grant] as const,
    ...generateKeyPair('P-256'),
  };
}

describe('a first certificate (RFC 7030 §4.2.1)', () => {
  it('F3: is for the key of the CSR, and names device and account', async () => {
    const { basic, identity, privateKey, publicKey } = await handedOver('dev-1');
    const csr = { subject: { commonName: 'dev-1', organizationalUnit: 'ignored' }, privateKey };
    const certificate = issuedIn(await call(est, enrolment(csr, { basic, identity })));
    expect(certificate.publicKey.equals(publicKey)).toBe(true);
    expect(certificate.subject).toEqual({ commonName: 'dev-1', organization: ACCOUNT });
    expect(certificate.sans.uris).toEqual([`spiffe://signet.local/${ACCOUNT}/device/dev-1`]);
    expect([...(certificate.keyUsage ?? [])]).toEqual(['digitalSignature']);
    expect(certificate.serialNumber).toHaveLength(32);
    const event = await est.event('CERT_ISSUED', ({ data }) => data.deviceId === 'dev-1');
    expect(event).toMatchObject({
      account: ACCOUNT,
      data: { serialNumber: certificate.serialNumber, profile: ACCOUNT },
    });
  });

  it('F8: ends after 90 days, and begins five minutes ago for devices whose clock is behind', async () => {
    const { basic, privateKey } = await handedOver('dev-2');
    const certificate = issuedIn(await call(est, enrolment({ privateKey }, { basic })));
    expect(Math.abs(certificate.notAfter - (time + 90 * DAY))).toBeLessThan(1000);
    expect(Math.abs(certificate.notBefore - (time - 300_000))).toBeLessThan(1000);
  });

  it('F25: is given for a grant in challengePassword as well', async () => {
    const { grant, privateKey } = await handedOver('dev-3');
    const reply = await call(est, enrolment({ privateKey, challengePassword: grant }));
    expect(issuedIn(reply).subject.commonName).toBe('dev-3');
  });

  it('below the label of its account, and below none', async () => {
    const { basic, privateKey } = await handedOver('dev-4');
    const path = `/.well-known/est/${ACCOUNT}/simpleenroll`;
    const labelled = issuedIn(await call(est, enrolment({ privateKey }, { basic, path })));
    const plain = issuedIn(await call(est, enrolment({ privateKey }, { basic })));
    expect(plain.fingerprint).toBe(labelled.fingerprint);
  });

  it('is the same certificate when the same key asks again, with a CSR signed anew', async () => {
    const { basic, privateKey } = await handedOver('dev-5');
    const first = issuedIn(await call(est, enrolment(createCsr({ privateKey }), { basic })));
    const second = issuedIn(await call(est, enrolment(createCsr({ privateKey }), { basic })));
    expect(second.fingerprint).toBe(first.fingerprint);
    const issued = est.events.filter(({ type, subject }) => type === 'CERT_ISSUED' && subject === 'dev-5');
    expect(issued).toHaveLength(1);
  });

  it.each(['P-384', 'Ed25519', 'RSA-2048'] as const)('is given for a key of %s', async (kind) => {
    const { basic } = await handedOver(`dev-key-${kind.toLowerCase()}`);
    const { privateKey, publicKey } = generateKeyPair(kind);
    expect(issuedIn(await call(est, enrolment({ privateKey }, { basic }))).publicKey.equals(publicKey)).toBe(
      true,
    );
  });
});

describe('F25: a grant that does not fit is refused', () => {
  it('where none is given: 401 with a challenge and an empty body', async () => {
    const { privateKey } = generateKeyPair('P-256');
    const reply = await call(est, enrolment({ privateKey }));
    expect({ status: reply.status, body: reply.body }).toEqual({ status: 401, body: '' });
    expect(reply.headers['www-authenticate']).toMatch(/^Basic realm="/);
    expect(reply.headers['content-length']).toBe('0');
  });

  it('a wrong one', async () => {
    const { privateKey, device, identity } = await handedOver('dev-wrong');
    const reply = await call(
      est,
      enrolment({ privateKey }, { basic: [device.deviceId, '00'.repeat(20)], identity }),
    );
    await expectRefusal(est, reply, {
      status: 401,
      code: 'wrong-grant',
      text: /no such grant/,
      deviceId: 'dev-wrong',
    });
    const event = await est.event('ENROLLMENT_REFUSED', ({ data }) => data.deviceId === 'dev-wrong');
    expect(event).toMatchObject({ account: ACCOUNT, data: { fingerprint: device.fingerprint } });
  });

  it('one used by another key', async () => {
    const { basic, privateKey } = await handedOver('dev-used');
    issuedIn(await call(est, enrolment({ privateKey }, { basic })));
    const reply = await call(est, enrolment({ privateKey: generateKeyPair('P-256').privateKey }, { basic }));
    await expectRefusal(est, reply, {
      status: 403,
      code: 'used-grant',
      text: /already used/,
      deviceId: 'dev-used',
    });
  });

  it('one that has expired', async () => {
    const { basic, privateKey } = await handedOver('dev-late');
    time += 15 * 60_000;
    const reply = await call(est, enrolment({ privateKey }, { basic }));
    await expectRefusal(est, reply, {
      status: 403,
      code: 'expired-grant',
      text: /expired at/,
      deviceId: 'dev-late',
    });
  });

  it('one that a newer handoff has replaced', async () => {
    const { basic, device, privateKey } = await handedOver('dev-twice');
    await est.grantFor(device);
    expect((await call(est, enrolment({ privateKey }, { basic }))).status).toBe(401);
  });

  it("another device's: by user name, and by certificate", async () => {
    const [own, other] = [await handedOver('dev-own'), await handedOver('dev-other')];
    const { privateKey } = own;
    const byName = await call(est, enrolment({ privateKey }, { basic: ['dev-own', other.grant] }));
    await expectRefusal(est, byName, { status: 401, code: 'wrong-grant', text: /no such grant/ });
    const byCertificate = await call(
      est,
      enrolment({ privateKey }, { basic: ['dev-other', other.grant], identity: own.identity }),
    );
    await expectRefusal(est, byCertificate, {
      status: 401,
      code: 'wrong-grant',
      text: /made for another device/,
    });
  });

  it("another account's: below that account's label", async () => {
    const { basic, privateKey } = await handedOver('dev-label');
    const reply = await call(
      est,
      enrolment({ privateKey }, { basic, path: '/.well-known/est/umbrella/simpleenroll' }),
    );
    await expectRefusal(est, reply, {
      status: 403,
      code: 'wrong-account',
      text: /not one of account "umbrella"/,
    });
  });

  it('a challengePassword that is not the grant given by HTTP Basic', async () => {
    const { basic, privateKey } = await handedOver('dev-both');
    const reply = await call(est, enrolment({ privateKey, challengePassword: 'something else' }, { basic }));
    await expectRefusal(est, reply, { status: 401, code: 'wrong-grant', text: /challengePassword/ });
  });
});

describe('a CSR is refused', () => {
  it('F3: whose own signature is bad', async () => {
    const { basic, privateKey } = await handedOver('dev-bad-csr');
    const csr = createCsr({ privateKey });
    csr[csr.length - 1] = (csr[csr.length - 1] ?? 0) ^ 1;
    const reply = await call(est, enrolment(csr, { basic }));
    await expectRefusal(est, reply, {
      status: 400,
      code: 'bad-csr-signature',
      text: /not signed with the key/,
      deviceId: 'dev-bad-csr',
    });
  });

  it("that bears another device's name", async () => {
    const { basic, privateKey } = await handedOver('dev-name');
    const reply = await call(est, enrolment({ subject: { commonName: 'dev-1' }, privateKey }, { basic }));
    await expectRefusal(est, reply, {
      status: 403,
      code: 'wrong-subject',
      text: /"dev-1" is not the device "dev-name"/,
    });
  });

  it("that asks for another device's SPIFFE id", async () => {
    const { basic, privateKey } = await handedOver('dev-san');
    const sans = { uris: [`spiffe://signet.local/${ACCOUNT}/device/dev-1`] };
    const reply = await call(est, enrolment({ privateKey, sans }, { basic }));
    await expectRefusal(est, reply, { status: 403, code: 'wrong-san', text: /subjectAltName/ });
  });

  it('with a weak key, naming it', async () => {
    const { basic } = await handedOver('dev-weak');
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const reply = await call(est, enrolment({ privateKey }, { basic }));
    await expectRefusal(est, reply, { status: 400, code: 'weak-key', text: /RSA of 1024 bits/ });
  });

  it.each([
    ['nothing', '', /empty/],
    ['what is not base64', 'no base64!', /not base64/],
    ['truncated DER', Buffer.from([0x30, 0x82, 0x01]).toString('base64'), /CSR/],
    ['indefinite length (BER)', Buffer.from([0x30, 0x80, 0, 0]).toString('base64'), /CSR/],
    [
      'deep nesting',
      Buffer.from(Array.from({ length: 200 }, (_, i) => (i % 2 ? 198 - i : 0x30))).toString('base64'),
      /CSR/,
    ],
  ])('that is %s', async (_, body, text) => {
    const { basic, identity } = await handedOver('dev-malformed');
    const reply = await call(est, { ...enrolment(new Uint8Array(), { basic, identity }), body });
    await expectRefusal(est, reply, { status: 400, code: 'malformed-request', text });
  });

  it('with bytes after its end', async () => {
    const { basic, identity, privateKey } = await handedOver('dev-trailing');
    const csr = Buffer.concat([createCsr({ privateKey }), Buffer.from([0])]);
    const reply = await call(est, enrolment(csr, { basic, identity }));
    await expectRefusal(est, reply, { status: 400, code: 'malformed-request', text: /CSR/ });
  });
});

describe('a profile', () => {
  it('that nobody made is refused when a grant is asked for, and as a label', async () => {
    await expect(handedOver('dev-profile', { profile: 'fast' })).rejects.toMatchObject({
      code: 'unknown-profile',
    });
    const reply = await call(
      est,
      enrolment(
        { privateKey: generateKeyPair('P-256').privateKey },
        { path: '/.well-known/est/Acme!/simpleenroll' },
      ),
    );
    expect(reply.status).toBe(404);
  });
});
