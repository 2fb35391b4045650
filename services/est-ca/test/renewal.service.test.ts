import { grantExpiredRenewal, OperationError } from '@signet/contracts';
import { encodeName, generateKeyPair } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultProfile, profiles } from '../src/domain/profile/profile.ts';
import { formatCertificateId } from '../src/domain/renewal/renewal-info.ts';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { type EnrolledDevice, enrolledDevice, expectRefusal } from './support/scene.ts';

const DAY = 86_400_000;
const path = '/.well-known/est/simplereenroll';
/** TLS clients have the real clock: so the service begins in the past, and its clock is set to now. */
const present = Date.now();
let clock = present;
let est: EstFixture;
/** Enrolled so long ago that their 90 days ended so many days ago. */
const ended = new Map<number, EnrolledDevice>();

beforeAll(async () => {
  clock = present - 200 * DAY;
  est = await openEstFixture({ now: () => clock, env: { SIGNET_EST_SERVER_VALIDITY_DAYS: '398' } });
  const stored = await est.fixture.deps.store.collection(profiles);
  await stored.insert({
    ...defaultProfile(ACCOUNT, { validityDays: 90 }),
    expiredGraceDays: 20,
    renewalWindowDays: 30,
  });
  for (const days of [40, 30, 25, 10, 5]) {
    clock = present - (90 + days) * DAY;
    ended.set(days, await enrolledDevice(est, `ended-${days}`));
  }
  clock = present;
}, 60_000);
afterAll(() => est?.[Symbol.asyncDispose]());

const endedFor = (days: number) => ended.get(days) as EnrolledDevice;

function renewal({ issued, operational }: EnrolledDevice, privateKey = generateKeyPair('P-256').privateKey) {
  return enrolment({ subjectDer: issued.subjectDer, privateKey }, { path, identity: operational });
}

describe('F9: a device that was offline for longer than its certificate lived', () => {
  it('renews within the grace of its profile', async () => {
    const renewed = issuedIn(await call(est, renewal(endedFor(10))));
    expect(renewed.subjectDer).toEqual(endedFor(10).issued.subjectDer);
    expect(renewed.notAfter).toBeGreaterThan(present);
  });

  it('may do nothing else with it', async () => {
    const { operational, deviceId } = endedFor(10);
    const asked = { identity: operational };
    const subject = { commonName: deviceId, organization: ACCOUNT };
    const { privateKey } = generateKeyPair('P-256');
    for (const request of [
      enrolment({ subject, privateKey }, asked),
      enrolment({ subject, privateKey }, { ...asked, path: '/.well-known/est/serverkeygen' }),
      { ...asked, path: '/.well-known/est/cacerts' },
      { ...asked, path: '/.well-known/est/csrattrs' },
    ]) {
      const { status, body } = await call(est, request);
      expect([status, body]).toEqual([403, expect.stringMatching(/expired at .* may renew itself/)]);
    }
  });

  it('is refused when it comes too late', async () => {
    await expectRefusal(est, await call(est, renewal(endedFor(25))), {
      status: 403,
      code: 'expired',
      text: /expired at .* operator may let it renew once/,
      deviceId: 'ended-25',
    });
  });

  it('is refused when it was revoked, before or after its end', async () => {
    const device = endedFor(5);
    const { bus } = est.fixture.deps;
    const { revokeCertificates } = await import('@signet/contracts');
    const { serialNumber } = device.issued;
    await bus.request(revokeCertificates, {
      account: ACCOUNT,
      serialNumber,
      reason: 'keyCompromise',
      by: 'test',
    });
    await expectRefusal(est, await call(est, renewal(device)), {
      status: 403,
      code: 'revoked',
      text: /was revoked at/,
    });
  });

  it('is refused when its Subject is another', async () => {
    const { operational } = endedFor(10);
    const { privateKey } = generateKeyPair('P-256');
    const subjectDer = encodeName({ commonName: 'ended-11', organization: ACCOUNT });
    const reply = await call(est, enrolment({ subjectDer, privateKey }, { path, identity: operational }));
    expect(reply.status).toBe(403);
  });

  it('is refused when a bootstrap certificate is what it shows', async () => {
    const device = endedFor(10);
    const identity = { certificate: device.certificate, privateKey: device.keys.privateKey };
    const { privateKey } = generateKeyPair('P-256');
    const request = enrolment({ subjectDer: device.issued.subjectDer, privateKey }, { path, identity });
    await expectRefusal(est, await call(est, request), {
      status: 403,
      code: 'wrong-purpose',
      text: /bootstrap certificate renews nothing/,
    });
  });
});

describe('F79: one renewal, granted to a named device, after the grace', () => {
  const grant = (deviceId: string) =>
    est.fixture.deps.bus.request(grantExpiredRenewal, { account: ACCOUNT, deviceId, by: 'ann' });

  it('goes through once; the same request again gets the same certificate, another key is refused', async () => {
    await grant('ended-30');
    const device = endedFor(30);
    const request = renewal(device);
    const renewed = issuedIn(await call(est, request));
    expect(issuedIn(await call(est, request)).fingerprint).toBe(renewed.fingerprint);
    await expectRefusal(est, await call(est, renewal(device)), {
      status: 403,
      code: 'expired',
      text: /one renewal was used at/,
      deviceId: 'ended-30',
    });
  });

  it('is for no other device', async () => {
    await grant('ended-30');
    const { status, body } = await call(est, renewal(endedFor(40)));
    expect([status, body]).toEqual([403, expect.stringMatching(/operator may let it renew once/)]);
  });

  it('of ten keys at once lets one through', async () => {
    await grant('ended-40');
    const replies = await Promise.all(Array.from({ length: 10 }, () => call(est, renewal(endedFor(40)))));
    expect(replies.map(({ status }) => status).toSorted()).toEqual([200, ...Array<number>(9).fill(403)]);
  });

  it('is not given to a device that never had a certificate', async () => {
    const refused = grant('nobody');
    await expect(refused).rejects.toBeInstanceOf(OperationError);
    await expect(refused).rejects.toMatchObject({ code: 'unknown-device', field: 'deviceId' });
  });
});

describe('F82: renewal-info', () => {
  it('tells a device the second in which it is best renewed, and when to ask again', async () => {
    const device = await enrolledDevice(est, 'dev-info');
    const { status, headers, body } = await call(est, {
      path: `/.well-known/est/${ACCOUNT}/renewal-info`,
      identity: device.operational,
    });
    expect(status).toBe(200);
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'retry-after': '21600' });
    const { suggestedWindow } = JSON.parse(body) as { suggestedWindow: { start: string; end: string } };
    const start = Date.parse(suggestedWindow.start);
    expect(start).toBeGreaterThanOrEqual(device.issued.notAfter - 30 * DAY);
    expect(start).toBeLessThan(device.issued.notAfter - 19 * DAY);
    expect(Date.parse(suggestedWindow.end)).toBe(start + 1000);
  });

  it('takes the certificate from the path as well, as RFC 9773 names it', async () => {
    const { issued } = endedFor(10);
    const id = formatCertificateId({
      issuerKeyId: issued.authorityKeyId ?? '',
      serialNumber: issued.serialNumber,
    });
    const known = await call(est, { path: `/.well-known/est/${ACCOUNT}/renewal-info/${id}` });
    expect(known.status).toBe(200);
    const other = formatCertificateId({
      issuerKeyId: issued.authorityKeyId ?? '',
      serialNumber: '12'.repeat(16),
    });
    const unknown = await call(est, { path: `/.well-known/est/renewal-info/${other}` });
    expect([unknown.status, unknown.body]).toEqual([403, expect.stringMatching(/not on the record/)]);
    const malformed = await call(est, { path: '/.well-known/est/renewal-info/nonsense' });
    expect(malformed.status).toBe(400);
  });

  it('tells nobody of a certificate of another account', async () => {
    const { operational } = endedFor(10);
    const reply = await call(est, { path: '/.well-known/est/other/renewal-info', identity: operational });
    expect([reply.status, reply.body]).toEqual([403, expect.stringMatching(/not one of account "other"/)]);
  });

  it('a renewal before the window is refused with the earliest time', async () => {
    const device = await enrolledDevice(est, 'dev-early');
    const earliest = new Date(device.issued.notAfter - 30 * DAY).toISOString();
    await expectRefusal(est, await call(est, renewal(device)), {
      status: 403,
      code: 'too-early',
      text: new RegExp(`earliest time is ${earliest}`),
    });
  });
});
