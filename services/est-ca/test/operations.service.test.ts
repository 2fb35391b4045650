import {
  createGrant,
  identifyCertificates,
  issueServerCertificate,
  listAuthorities,
  listCertificates,
  newEvent,
  revokeCertificates,
  signBootstrap,
} from '@signet/contracts';
import { createCsr, encodePem, generateKeyPair, NO_END, parseCertificatePem } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { type EnrolledDevice, enrolledDevice } from './support/scene.ts';

let est: EstFixture;
beforeAll(async () => {
  est = await openEstFixture();
});
afterAll(() => est?.[Symbol.asyncDispose]());

const request: EstFixture['fixture']['deps']['bus']['request'] = (...args) =>
  est.fixture.deps.bus.request(...args);
const pemCsr = (commonName: string) =>
  encodePem(
    'CERTIFICATE REQUEST',
    createCsr({ subject: { commonName }, privateKey: generateKeyPair('P-256').privateKey }),
  );

describe('factory signing', () => {
  it('F55 F60: gives each good CSR a certificate of its own without end, and each bad one its reason', async () => {
    const forged = createCsr({
      subject: { commonName: 'dev-2' },
      privateKey: generateKeyPair('P-256').privateKey,
    });
    forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 1;
    const broken = encodePem('CERTIFICATE REQUEST', forged);
    const items = [
      { csr: pemCsr('dev-1'), deviceSerialNumber: 'SN-1' },
      { csr: broken },
      { csr: pemCsr('not a device id') },
      { csr: pemCsr('anything'), deviceId: 'dev-4' },
      { csr: 'no csr' },
    ];
    const { results, chain, authorityId } = await request(signBootstrap, { account: ACCOUNT, items });
    expect(authorityId).toBe('factory');
    expect(chain.map((pem) => parseCertificatePem(pem).subject.commonName)).toEqual([
      'Signet Factory CA',
      'Signet Root CA',
    ]);
    const certificates = results.map((result) =>
      'certificate' in result ? parseCertificatePem(result.certificate) : undefined,
    );
    expect(certificates.map((certificate) => certificate?.subject)).toEqual([
      { commonName: 'dev-1', serialNumber: 'SN-1' },
      undefined,
      undefined,
      { commonName: 'dev-4', serialNumber: 'dev-4' },
      undefined,
    ]);
    expect(certificates[0]?.notAfter).toBe(NO_END);
    expect(results.map((result) => ('error' in result ? result.error.code : 'ok'))).toEqual([
      'ok',
      'bad-signature',
      'bad-identity',
      'ok',
      'bad-pem',
    ]);
    const serials = certificates.flatMap((certificate) => certificate?.serialNumber ?? []);
    expect(new Set(serials).size).toBe(serials.length);
  });
});

describe('server certificates', () => {
  it('bear the names that were asked for', async () => {
    const input = { service: 'bootstrap', csr: pemCsr('x'), names: ['boot.example', '10.0.0.1', '::1'] };
    const issued = parseCertificatePem((await request(issueServerCertificate, input)).certificate);
    expect([issued.sans.dns, issued.sans.ips]).toEqual([['boot.example'], ['10.0.0.1', '::1']]);
    expect(issued.subject.commonName).toBe('bootstrap');
  });

  it('bear a name once that was asked for twice, as a configuration may have it', async () => {
    const names = ['localhost', '127.0.0.1', 'localhost', '127.0.0.1'];
    const { certificate } = await request(issueServerCertificate, { service: 'x', csr: pemCsr('x'), names });
    const { sans } = parseCertificatePem(certificate);
    expect([sans.dns, sans.ips]).toEqual([['localhost'], ['127.0.0.1']]);
  });

  it.each([
    ['a CSR that cannot be read', { csr: 'x', names: ['a.example'] }],
    ['a name that is none', { csr: pemCsr('x'), names: ['not a name'] }],
  ])('are refused for %s', async (_, input) => {
    await expect(request(issueServerCertificate, { service: 'x', ...input })).rejects.toMatchObject({
      code: 'bad-csr',
      message: expect.stringMatching(/^csr: /),
    });
  });
});

describe('operations', () => {
  it('list the CAs, public parts only', async () => {
    const { authorities } = await request(listAuthorities, {});
    expect(authorities.map(({ kind }) => kind).toSorted()).toEqual(['factory', 'issuing', 'root', 'server']);
    expect(JSON.stringify(authorities)).not.toContain('PRIVATE');
  });

  it('refuse a grant for a name that can be no label', async () => {
    const input = { account: 'cacerts', deviceId: 'dev-1', fingerprint: 'a'.repeat(64) };
    await expect(request(createGrant, input)).rejects.toMatchObject({ code: 'unknown-profile' });
  });

  it('F66: list and revoke certificates of one account only', async () => {
    const device = await enrolledDevice(est, 'dev-list');
    const listed = await request(listCertificates, { account: ACCOUNT, deviceId: 'dev-list' });
    expect(listed.items.map(({ fingerprint }) => fingerprint)).toEqual([device.issued.fingerprint]);
    expect((await request(listCertificates, { account: 'umbrella' })).items).toEqual([]);
    const foreign = { account: 'umbrella', serialNumber: device.issued.serialNumber, by: 'test' };
    await expect(request(revokeCertificates, foreign)).rejects.toMatchObject({ code: 'unknown-certificate' });
  });

  it('revoke once: a repetition changes nothing, and the first reason stands', async () => {
    const device = await enrolledDevice(est, 'dev-revoke');
    const { serialNumber } = device.issued;
    const input = { account: ACCOUNT, deviceId: 'dev-revoke', by: 'ops' };
    expect(await request(revokeCertificates, { ...input, reason: 'keyCompromise' })).toEqual({
      revoked: [serialNumber],
    });
    expect(await request(revokeCertificates, { ...input, reason: 'superseded' })).toEqual({ revoked: [] });
    expect(await request(revokeCertificates, { ...input, serialNumber })).toEqual({ revoked: [] });
    const event = await est.event('CERT_REVOKED', ({ data }) => data.serialNumber === serialNumber);
    expect(event.data).toMatchObject({ reason: 'keyCompromise', by: 'ops', deviceId: 'dev-revoke' });
    expect(
      est.events.filter(({ type, subject }) => type === 'CERT_REVOKED' && subject === 'dev-revoke'),
    ).toHaveLength(1);
  });
});

describe('what happens to devices elsewhere', () => {
  const publish = (...events: Parameters<EstFixture['fixture']['deps']['bus']['publish']>[0]) =>
    est.fixture.deps.bus.publish(events);
  const facts = (deviceId: string) => ({ account: ACCOUNT, subject: deviceId, time: Date.now() });
  const immutable = ({ deviceId, fingerprint }: EnrolledDevice) => ({
    deviceId,
    fingerprint,
    deviceSerialNumber: deviceId,
    by: 'ops',
  });

  it('F39: a promoted key supersedes the certificates before it, not itself', async () => {
    const device = await enrolledDevice(est, 'dev-promoted');
    const { privateKey } = generateKeyPair('P-256');
    const csr = { subjectDer: device.issued.subjectDer, privateKey };
    const next = issuedIn(
      await call(
        est,
        enrolment(csr, { path: '/.well-known/est/simplereenroll', identity: device.operational }),
      ),
    );
    const change = newEvent('DEVICE_PUBKEY_CHANGE', {
      ...facts('dev-promoted'),
      data: {
        deviceId: 'dev-promoted',
        NewPubKey: encodePem('PUBLIC KEY', next.spkiDer),
        newSerialNumber: next.serialNumber,
        newPublicKeyHash: next.publicKeyHash,
      },
    });
    await publish(change, change);
    const event = await est.event('CERT_REVOKED', ({ data }) => data.deviceId === 'dev-promoted');
    expect(event.data).toMatchObject({ serialNumber: device.issued.serialNumber, reason: 'superseded' });
    const { items } = await request(listCertificates, { account: ACCOUNT, deviceId: 'dev-promoted' });
    expect(
      items.filter(({ revokedAt }) => revokedAt === undefined).map(({ serialNumber }) => serialNumber),
    ).toEqual([next.serialNumber]);
  });

  it('F30: says who holds a certificate, by its issuer and serial number', async () => {
    const { issued } = await enrolledDevice(est, 'dev-held');
    const { serialNumber, authorityKeyId: issuerKeyId = '' } = issued;
    const asked = { issuerKeyId, serialNumbers: [serialNumber, 'ab'] };
    expect(await request(identifyCertificates, asked)).toEqual({
      certificates: [{ serialNumber, account: ACCOUNT, deviceId: 'dev-held' }],
    });
    const elsewhere = { issuerKeyId: 'ab'.repeat(20), serialNumbers: [serialNumber] };
    expect(await request(identifyCertificates, elsewhere)).toEqual({ certificates: [] });
  });

  it('F30: a retired device loses its certificates and its grant', async () => {
    const device = await enrolledDevice(est, 'dev-retired');
    const grant = await est.grantFor(device);
    const data = { ...immutable(device), reason: 'scrapped' };
    await publish(newEvent('DEVICE_RETIRED', { ...facts('dev-retired'), data }));
    const event = await est.event('CERT_REVOKED', ({ data: { deviceId } }) => deviceId === 'dev-retired');
    expect(event.data.reason).toBe('cessationOfOperation');
    await expectVoid('dev-retired', grant, /device retired/);
  });

  it('F61: a blocked device loses its grant', async () => {
    const device = await enrolledDevice(est, 'dev-blocked');
    const grant = await est.grantFor(device);
    const data = { ...immutable(device), reason: 'lost' };
    await publish(newEvent('DEVICE_BLOCKED', { ...facts('dev-blocked'), data }));
    await expectVoid('dev-blocked', grant, /device blocked/);
  });

  async function expectVoid(deviceId: string, grant: string, text: RegExp): Promise<void> {
    const { privateKey } = generateKeyPair('P-256');
    const stale = generateKeyPair('P-256').privateKey;
    await expect
      .poll(
        async () =>
          (
            await call(
              est,
              enrolment(
                { subject: { commonName: 'other' }, privateKey: stale },
                { basic: [deviceId, grant] },
              ),
            )
          ).body,
        { timeout: 15_000 },
      )
      .toMatch(text);
    expect((await call(est, enrolment({ privateKey }, { basic: [deviceId, grant] }))).status).toBe(401);
  }
});

describe('readiness and metrics', () => {
  it('say whether keys are at hand, and count enrolments by account and outcome, never by device', async () => {
    await enrolledDevice(est, 'dev-metrics');
    const report = await est.fixture.deps.health.report();
    expect(report.checks['est-ca.keys']).toEqual({ ok: true });
    const text = await est.fixture.exposition();
    expect(text).toMatch(/signet_est_enrollments_total\{account="acme",outcome="issued"[^}]*\} \d+/);
    expect(text).not.toContain('dev-metrics');
  });
});
