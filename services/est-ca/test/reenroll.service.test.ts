import { OperationError, revokeCertificates } from '@signet/contracts';
import { encodeName, generateKeyPair } from '@signet/pki';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { type EnrolledDevice, enrolledDevice, expectRefusal } from './support/scene.ts';

const path = '/.well-known/est/simplereenroll';
let est: EstFixture;
beforeAll(async () => {
  est = await openEstFixture();
});
afterAll(() => est?.[Symbol.asyncDispose]());
afterEach(() => {
  est.provisioning.failure = undefined;
});

function renewal({ issued, operational }: EnrolledDevice, privateKey = generateKeyPair('P-256').privateKey) {
  return enrolment({ subjectDer: issued.subjectDer, privateKey }, { path, identity: operational });
}

describe('F31: a renewal with the current certificate (RFC 7030 §4.2.2)', () => {
  it('copies the Subject to the byte, and certifies a new key, which is announced first', async () => {
    const device = await enrolledDevice(est, 'dev-1');
    const { privateKey, publicKey } = generateKeyPair('P-256');
    const renewed = issuedIn(await call(est, renewal(device, privateKey)));
    expect(renewed.subjectDer).toEqual(device.issued.subjectDer);
    expect(renewed.sans).toEqual(device.issued.sans);
    expect(renewed.serialNumber).not.toBe(device.issued.serialNumber);
    expect(renewed.publicKey.equals(publicKey)).toBe(true);
    expect(est.provisioning.announced.at(-1)).toMatchObject({
      account: ACCOUNT,
      deviceId: 'dev-1',
      currentPublicKeyHash: device.issued.publicKeyHash,
      next: { serialNumber: renewed.serialNumber, publicKeyHash: renewed.publicKeyHash },
    });
    const event = await est.event('CERT_RENEWED', ({ data }) => data.deviceId === 'dev-1');
    expect(event.data).toMatchObject({ previousSerialNumber: device.issued.serialNumber, keyChanged: true });
  });

  it('with the same key gives a new serial number, and announces nothing', async () => {
    const device = await enrolledDevice(est, 'dev-2');
    const announced = est.provisioning.announced.length;
    const renewed = issuedIn(await call(est, renewal(device, device.operational.privateKey)));
    expect(renewed.serialNumber).not.toBe(device.issued.serialNumber);
    expect(renewed.publicKeyHash).toBe(device.issued.publicKeyHash);
    expect(est.provisioning.announced).toHaveLength(announced);
  });

  it('asked for twice is one certificate', async () => {
    const device = await enrolledDevice(est, 'dev-3');
    const { privateKey } = generateKeyPair('P-256');
    const [first, second] = await Promise.all([
      call(est, renewal(device, privateKey)),
      call(est, renewal(device, privateKey)),
    ]);
    expect(issuedIn(second).fingerprint).toBe(issuedIn(first).fingerprint);
  });

  it('takes over the SANs where the CSR has the same ones', async () => {
    const device = await enrolledDevice(est, 'dev-4');
    const { privateKey } = generateKeyPair('P-256');
    const csr = { subjectDer: device.issued.subjectDer, privateKey, sans: { uris: device.issued.sans.uris } };
    expect(issuedIn(await call(est, enrolment(csr, { path, identity: device.operational }))).sans).toEqual(
      device.issued.sans,
    );
  });

  it('is answered 503 while the new key cannot be announced, and gives the same certificate afterwards', async () => {
    const device = await enrolledDevice(est, 'dev-5');
    const { privateKey } = generateKeyPair('P-256');
    est.provisioning.failure = new OperationError('unavailable', 'away');
    const reply = await call(est, renewal(device, privateKey));
    await expectRefusal(est, reply, {
      status: 503,
      code: 'unavailable',
      text: /cannot be announced/,
      deviceId: 'dev-5',
    });
    expect(reply.headers['retry-after']).toMatch(/^\d+$/);
    est.provisioning.failure = undefined;
    const renewed = issuedIn(await call(est, renewal(device, privateKey)));
    const recorded = est.events.filter(({ type, subject }) => type === 'CERT_RENEWED' && subject === 'dev-5');
    expect(recorded.map(({ data }) => (data as { serialNumber: string }).serialNumber)).toEqual([
      renewed.serialNumber,
    ]);
  });
});

describe('a renewal is refused', () => {
  it('without a certificate', async () => {
    const { privateKey } = generateKeyPair('P-256');
    const reply = await call(est, enrolment({ privateKey }, { path }));
    await expectRefusal(est, reply, { status: 403, code: 'no-certificate', text: /needs the current one/ });
  });

  it('F58: with a bootstrap certificate', async () => {
    const { certificate, keys } = await est.bootstrapDevice('dev-boot');
    const identity = { certificate, privateKey: keys.privateKey };
    const reply = await call(est, enrolment({ privateKey: keys.privateKey }, { path, identity }));
    await expectRefusal(est, reply, {
      status: 403,
      code: 'wrong-purpose',
      text: /bootstrap certificate renews nothing/,
    });
  });

  it('whose Subject differs by one byte', async () => {
    const device = await enrolledDevice(est, 'dev-6');
    const { privateKey } = generateKeyPair('P-256');
    const subjectDer = encodeName({ commonName: 'dev-6', organization: 'acmf' });
    const reply = await call(
      est,
      enrolment({ subjectDer, privateKey }, { path, identity: device.operational }),
    );
    await expectRefusal(est, reply, {
      status: 403,
      code: 'wrong-subject',
      text: /subject: differs/,
      deviceId: 'dev-6',
    });
  });

  it('whose SANs differ, naming the difference', async () => {
    const device = await enrolledDevice(est, 'dev-7');
    const { privateKey } = generateKeyPair('P-256');
    const csr = { subjectDer: device.issued.subjectDer, privateKey, sans: { dns: ['other.example'] } };
    const reply = await call(est, enrolment(csr, { path, identity: device.operational }));
    const text = /adds dns:other\.example; lacks uris:spiffe:/;
    await expectRefusal(est, reply, { status: 403, code: 'wrong-san', text, deviceId: 'dev-7' });
  });

  it('once its certificate was revoked, before the deny list has heard of it', async () => {
    const device = await enrolledDevice(est, 'dev-8');
    const { serialNumber } = device.issued;
    await est.fixture.deps.bus.request(revokeCertificates, { account: ACCOUNT, serialNumber, by: 'test' });
    const reply = await call(est, renewal(device));
    await expectRefusal(est, reply, {
      status: 403,
      code: 'revoked',
      text: /was revoked at/,
      deviceId: 'dev-8',
    });
  });

  it("F66: below another account's label", async () => {
    const device = await enrolledDevice(est, 'dev-9');
    const reply = await call(est, { ...renewal(device), path: '/.well-known/est/umbrella/simplereenroll' });
    await expectRefusal(est, reply, {
      status: 403,
      code: 'wrong-account',
      text: /"umbrella"/,
      deviceId: 'dev-9',
    });
  });

  it('with a third key', async () => {
    const device = await enrolledDevice(est, 'dev-10');
    est.provisioning.failure = new OperationError('third-key', 'the certificate is neither current nor next');
    const reply = await call(est, renewal(device));
    await expectRefusal(est, reply, { status: 403, code: 'third-key', text: /neither current nor next/ });
  });
});
