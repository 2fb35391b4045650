import {
  certifyDevice,
  grantExpiredRenewal,
  type OperationInput,
  renewDevice,
  revokeCertificates,
  signRegistration,
} from '@signet/contracts';
import {
  createCsr,
  EKU,
  encodePem,
  generateKeyPair,
  type KeyPair,
  newSerialNumber,
  parseCertificatePem,
} from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultProfile, profiles } from '../src/domain/profile/profile.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';

const DAY = 86_400_000;
let clock = Date.now();
let est: EstFixture;
beforeAll(async () => {
  est = await openEstFixture({ now: () => clock });
  const stored = await est.fixture.deps.store.collection(profiles);
  await stored.insert({
    ...defaultProfile('careful', { validityDays: 90 }),
    approval: 'every',
    authentication: 'certificate',
  });
  await stored.insert({ ...defaultProfile('lenient', { validityDays: 90 }), expiredGraceDays: 20 });
}, 60_000);
afterAll(() => est?.[Symbol.asyncDispose]());

const bus = () => est.fixture.deps.bus;
const csrOf = (commonName: string, { privateKey }: KeyPair) =>
  encodePem('CERTIFICATE REQUEST', createCsr({ subject: { commonName }, privateKey }));
const certify = async (
  deviceId: string,
  keys = generateKeyPair('P-256'),
  more: Partial<OperationInput<typeof certifyDevice>> = {},
) => {
  const csr = csrOf(deviceId, keys);
  const wanted = { account: ACCOUNT, deviceId, csr, serialNumber: newSerialNumber(), ...more };
  const answer = await bus().request(certifyDevice, wanted);
  return { ...answer, certificate: parseCertificatePem(answer.certificate), pem: answer.certificate };
};
type Certified = Awaited<ReturnType<typeof certify>>;
const renew = async (deviceId: string, current: Certified, keys: KeyPair, account = ACCOUNT) => {
  const { fingerprint, serialNumber } = current.certificate;
  const csr = csrOf(deviceId, keys);
  const answer = await bus().request(renewDevice, { account, deviceId, fingerprint, serialNumber, csr });
  return parseCertificatePem(answer.certificate);
};

describe('a device that the bootstrap service vouches for', () => {
  it('F3: gets a certificate for the key of its CSR, with serial number, account and unit', async () => {
    const keys = generateKeyPair('P-256');
    const serialNumber = newSerialNumber();
    const made = await certify('dev-1', keys, { serialNumber, organizationalUnit: 'hall-3' });
    expect(made.certificate.publicKey.equals(keys.publicKey)).toBe(true);
    expect(made.certificate.serialNumber).toBe(serialNumber);
    expect(made.certificate.subject).toEqual({
      ...{ commonName: 'dev-1', organization: ACCOUNT, organizationalUnit: 'hall-3' },
    });
    expect(made.chain.length).toBeGreaterThanOrEqual(2);
    expect(made.trustAnchors).toContain(made.chain.at(-1));
  });

  it('gets the same one when it asks again, and nobody else with another key or name', async () => {
    const keys = generateKeyPair('P-256');
    const serialNumber = newSerialNumber();
    const first = await certify('dev-2', keys, { serialNumber });
    expect((await certify('dev-2', keys, { serialNumber })).pem).toBe(first.pem);
    await expect(certify('dev-2', generateKeyPair('P-256'), { serialNumber })).rejects.toMatchObject({
      code: 'refused',
    });
    await expect(certify('dev-3', keys, { serialNumber })).rejects.toMatchObject({ code: 'refused' });
  });

  it('F4: needs no second approval where its profile wants one', async () => {
    await expect(certify('dev-4', undefined, { account: 'careful' })).resolves.toMatchObject({});
  });

  it('F3: is refused with a CSR of another name, a weak key, or a broken signature', async () => {
    const keys = generateKeyPair('P-256');
    for (const csr of [csrOf('dev-6', keys), 'nonsense'])
      await expect(certify('dev-5', keys, { csr })).rejects.toMatchObject({ code: 'bad-csr' });
    await expect(certify('dev-5', keys, { profile: 'none' })).rejects.toMatchObject({
      code: 'unknown-profile',
    });
  });
});

describe('its renewal', () => {
  it('keeps Subject and names to the byte, though the CSR has the CN alone', async () => {
    const first = await certify('dev-10', undefined, { organizationalUnit: 'hall-3' });
    const keys = generateKeyPair('P-256');
    const renewed = await renew('dev-10', first, keys);
    expect(renewed.subjectDer).toEqual(first.certificate.subjectDer);
    expect(renewed.sans).toEqual(first.certificate.sans);
    expect(renewed.serialNumber).not.toBe(first.certificate.serialNumber);
    expect(est.provisioning.announced.at(-1)).toMatchObject({ account: ACCOUNT, deviceId: 'dev-10' });
  });

  it('F66: is of its own device and account only', async () => {
    const first = await certify('dev-11');
    const keys = generateKeyPair('P-256');
    await expect(renew('dev-12', first, keys)).rejects.toMatchObject({ code: 'refused' });
    await expect(renew('dev-11', first, keys, 'rival')).rejects.toMatchObject({ code: 'refused' });
  });

  it('F9: of an expired certificate needs grace or an operator’s leave; a revoked one has neither', async () => {
    const keys = generateKeyPair('P-256');
    const late = await certify('dev-13', keys);
    const lenient = await certify('dev-14', keys, { account: 'lenient' });
    const revoked = await certify('dev-15', keys, { account: 'lenient' });
    const { serialNumber } = revoked.certificate;
    await bus().request(revokeCertificates, { account: 'lenient', serialNumber, by: 'ada' });
    clock += 100 * DAY;
    await expect(renew('dev-13', late, keys)).rejects.toMatchObject({ code: 'refused' });
    expect(await renew('dev-14', lenient, keys, 'lenient')).toMatchObject({});
    await expect(renew('dev-15', revoked, keys, 'lenient')).rejects.toMatchObject({ code: 'revoked' });
    await bus().request(grantExpiredRenewal, {
      ...{ account: ACCOUNT, deviceId: 'dev-13', hours: 1, by: 'ada' },
    });
    expect(await renew('dev-13', late, keys)).toMatchObject({});
  });
});

describe('a registration certificate', () => {
  const sign = (csr: string, more = {}) =>
    bus().request(signRegistration, { account: ACCOUNT, name: 'image-1', csr, validityDays: 30, ...more });

  it('F1: says that it registers, for which account, and ends', async () => {
    const keys = generateKeyPair('P-256');
    const { certificate, chain } = await sign(csrOf('whatever', keys));
    const { subject, extKeyUsage, notAfter, serialNumber } = parseCertificatePem(certificate);
    expect(subject).toEqual({
      ...{ commonName: 'register', organization: ACCOUNT, serialNumber: 'image-1' },
    });
    expect(extKeyUsage).toEqual([EKU.clientAuth, EKU.registration]);
    expect(notAfter - clock).toBeLessThanOrEqual(30 * DAY);
    expect(serialNumber).toMatch(/^[0-9a-f]{32}$/);
    expect(chain.length).toBeGreaterThanOrEqual(2);
  });

  it('F3: is not given for a CSR that is no good', async () => {
    await expect(sign('nonsense')).rejects.toMatchObject({ code: 'bad-csr' });
  });
});
