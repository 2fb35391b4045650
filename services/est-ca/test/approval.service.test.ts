import type { KeyObject } from 'node:crypto';
import {
  approveEnrollment,
  createProfile,
  declineEnrollment,
  listEnrollmentRequests,
  newEvent,
  orderRenewal,
  type ProfileChanges,
  revokeCertificates,
  withdrawRenewal,
} from '@signet/contracts';
import { createCsr, generateKeyPair } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { expectRefusal } from './support/scene.ts';

const HOUR = 3_600_000;
let time = Date.now();
let est: EstFixture;
beforeAll(async () => {
  est = await openEstFixture({ now: () => time });
  const create = (name: string, settings: ProfileChanges) =>
    est.fixture.deps.bus.request(createProfile, { account: ACCOUNT, name, settings, by: 'ada' });
  await create('watched', { approval: 'first' });
  await create('guarded', { approval: 'every' });
});
afterAll(() => est?.[Symbol.asyncDispose]());

async function waiting(deviceId: string, profile = 'watched') {
  const device = await est.bootstrapDevice(deviceId);
  const { privateKey } = generateKeyPair('P-256');
  let basic = [deviceId, await est.grantFor(device, { profile })] as const;
  return {
    privateKey,
    /** Each time with a CSR that is signed anew. */
    ask: () => call(est, enrolment(createCsr({ subject: { commonName: deviceId }, privateKey }), { basic })),
    async newGrant() {
      basic = [deviceId, await est.grantFor(device, { profile })];
    },
  };
}

async function requestOf(deviceId: string, state?: 'waiting' | 'issued') {
  const { items } = await est.fixture.deps.bus.request(listEnrollmentRequests, {
    account: ACCOUNT,
    ...(state === undefined ? {} : { state }),
  });
  const found = items.filter((item) => item.deviceId === deviceId);
  expect(found).toHaveLength(1);
  return found[0]?.requestId ?? '';
}
const approve = (requestId: string, account = ACCOUNT) =>
  est.fixture.deps.bus.request(approveEnrollment, { account, requestId, by: 'ada' });
const decline = (requestId: string) =>
  est.fixture.deps.bus.request(declineEnrollment, {
    account: ACCOUNT,
    requestId,
    reason: 'not ours',
    by: 'ada',
  });
const issuedTo = (deviceId: string) =>
  est.events.filter(({ type, subject }) => type === 'CERT_ISSUED' && subject === deviceId);

describe('an enrolment that waits for approval (RFC 7030 §4.2.3)', () => {
  it('F4: is answered 202 with Retry-After and no body, again and again, then with one certificate', async () => {
    const { ask } = await waiting('dev-1');
    for (const _ of [1, 2]) {
      const reply = await ask();
      expect([reply.status, reply.body, reply.headers['content-length']]).toEqual([202, '', '0']);
      expect(reply.headers['retry-after']).toMatch(/^[1-9][0-9]*$/);
    }
    const requestId = await requestOf('dev-1', 'waiting');
    await est.event('ENROLLMENT_REQUESTED', ({ data }) => data.requestId === requestId);
    expect(issuedTo('dev-1')).toEqual([]);
    expect(await approve(requestId)).toMatchObject({ state: 'approved', decidedBy: 'ada' });
    await approve(requestId);
    const replies = await Promise.all([ask(), ask(), ask()]);
    const serials = new Set(replies.map((reply) => issuedIn(reply).serialNumber));
    expect(serials.size).toBe(1);
    expect(issuedTo('dev-1')).toHaveLength(1);
    const decided = est.events.filter(
      (event) => event.type === 'ENROLLMENT_DECIDED' && event.data.requestId === requestId,
    );
    expect(decided).toHaveLength(1);
    expect(await requestOf('dev-1', 'issued')).toBe(requestId);
  });

  it('outlives its grant: what was in time when it was asked is good when it is approved', async () => {
    const { ask } = await waiting('dev-late');
    expect((await ask()).status).toBe(202);
    time += 5 * HOUR;
    expect((await ask()).status).toBe(202);
    await approve(await requestOf('dev-late'));
    const issued = issuedIn(await ask());
    expect(Math.abs(issued.notBefore - (time - 300_000))).toBeLessThan(1000);
  });

  it('does not begin with a grant that has run out', async () => {
    const { ask } = await waiting('dev-too-late');
    time += HOUR;
    await expectRefusal(est, await ask(), { status: 403, code: 'expired-grant', text: /expired at/ });
    const { items } = await est.fixture.deps.bus.request(listEnrollmentRequests, { account: ACCOUNT });
    expect(items.some(({ deviceId }) => deviceId === 'dev-too-late')).toBe(false);
  });

  it('is refused 403 with the reason once it is declined', async () => {
    const { ask } = await waiting('dev-no');
    await ask();
    const requestId = await requestOf('dev-no');
    await decline(requestId);
    await expectRefusal(est, await ask(), {
      status: 403,
      code: 'declined',
      text: /declined at .*: not ours/,
      deviceId: 'dev-no',
    });
    await approve(requestId);
    issuedIn(await ask());
    await expect(decline(requestId)).rejects.toMatchObject({ code: 'request-decided' });
  });

  it('stays one request after a new handoff, and is good for one certificate', async () => {
    const { ask, newGrant } = await waiting('dev-again');
    await ask();
    await newGrant();
    expect((await ask()).status).toBe(202);
    const requestId = await requestOf('dev-again');
    await approve(requestId);
    const { serialNumber } = issuedIn(await ask());
    await est.fixture.deps.bus.request(revokeCertificates, { account: ACCOUNT, serialNumber, by: 'ada' });
    await newGrant();
    expect((await ask()).status).toBe(202);
    expect(await requestOf('dev-again', 'waiting')).toBe(requestId);
    await approve(requestId);
    expect(issuedIn(await ask()).serialNumber).not.toBe(serialNumber);
  });

  it('with another key is another request', async () => {
    const device = await est.bootstrapDevice('dev-keys');
    const basic = ['dev-keys', await est.grantFor(device, { profile: 'watched' })] as const;
    for (const _ of [1, 2])
      expect(
        (await call(est, enrolment({ privateKey: generateKeyPair('P-256').privateKey }, { basic }))).status,
      ).toBe(202);
    const { items } = await est.fixture.deps.bus.request(listEnrollmentRequests, {
      account: ACCOUNT,
      state: 'waiting',
    });
    expect(items.filter(({ deviceId }) => deviceId === 'dev-keys')).toHaveLength(2);
  });

  it('is decided by its own account only', async () => {
    const { ask } = await waiting('dev-own');
    await ask();
    const requestId = await requestOf('dev-own');
    await expect(approve(requestId, 'umbrella')).rejects.toMatchObject({ code: 'unknown-request' });
    await expect(approve('0'.repeat(32))).rejects.toMatchObject({ code: 'unknown-request' });
  });

  it('may be a renewal, where the profile wants every certificate approved', async () => {
    const { ask, privateKey } = await waiting('dev-every', 'guarded');
    await ask();
    await approve(await requestOf('dev-every'));
    const first = issuedIn(await ask());
    const renew = () =>
      call(
        est,
        enrolment(
          { subjectDer: first.subjectDer, privateKey },
          { path: '/.well-known/est/simplereenroll', identity: { certificate: first.pem(), privateKey } },
        ),
      );
    expect((await renew()).status).toBe(202);
    await approve(await requestOf('dev-every', 'waiting'));
    expect(issuedIn(await renew()).serialNumber).not.toBe(first.serialNumber);
  });

  it('a rotation that an operator ordered needs neither another approval nor an open window, until the order is over', async () => {
    const { bus } = est.fixture.deps;
    await bus.request(createProfile, {
      ...{ account: ACCOUNT, name: 'closed', by: 'ada' },
      settings: { approval: 'every', validityDays: 90, renewalWindowDays: 10 },
    });
    const tooEarly = { status: 403, body: expect.stringContaining('too early') };
    const renewing = (first: ReturnType<typeof issuedIn>, privateKey: KeyObject) => {
      const identity = { certificate: first.pem(), privateKey };
      const path = '/.well-known/est/simplereenroll';
      const { subjectDer } = first;
      return (by: KeyObject) => call(est, enrolment({ subjectDer, privateKey: by }, { path, identity }));
    };
    const held = await waiting('dev-2-ordered', 'closed');
    await held.ask();
    await approve(await requestOf('dev-2-ordered', 'waiting'));
    const first = issuedIn(await held.ask());
    const renew = renewing(first, held.privateKey);
    const order = (expiresAt: number) =>
      bus.request(orderRenewal, {
        ...{ account: ACCOUNT, deviceId: 'dev-2-ordered', rotationId: `certs-${expiresAt}`, by: 'ada' },
        expiresAt: new Date(expiresAt).toISOString(),
      });
    const key = generateKeyPair('P-256').privateKey;
    expect(await renew(key)).toMatchObject(tooEarly);
    await order(time - 1);
    expect(await renew(key)).toMatchObject(tooEarly);
    await order(time + HOUR);
    await bus.request(withdrawRenewal, { account: ACCOUNT, deviceId: 'dev-2-ordered' });
    expect(await renew(key)).toMatchObject(tooEarly);
    await order(time + HOUR);
    time += 1;
    const second = issuedIn(await renew(key));
    // the order was for what it had then
    expect(await renewing(second, key)(generateKeyPair('P-256').privateKey)).toMatchObject(tooEarly);
  });
});

it('while an account is suspended no device enrols, and those that have a certificate renew', async () => {
  const { bus } = est.fixture.deps;
  const tell = (type: 'ACCOUNT_SUSPENDED' | 'ACCOUNT_RESUMED', sequence: number) => {
    const facts = { account: ACCOUNT, subject: ACCOUNT, time };
    return bus.publish([
      { ...newEvent(type, { ...facts, data: { by: 'ada', reason: 'unpaid' } }), sequence },
    ]);
  };
  const live = await waiting('dev-live', 'default');
  const first = issuedIn(await live.ask());
  const newcomer = await waiting('dev-new', 'default');
  const unapproved = await waiting('dev-unapproved', 'watched');
  await tell('ACCOUNT_SUSPENDED', 2);
  await vi.waitFor(async () => {
    const reply = await newcomer.ask();
    expect([reply.status, reply.body]).toEqual([
      403,
      expect.stringContaining('account: "acme" is suspended'),
    ]);
  }, 10_000);
  expect((await unapproved.ask()).status, 'nor is it asked to wait for an approval').toBe(403);
  const { items } = await bus.request(listEnrollmentRequests, { account: ACCOUNT });
  expect(items.filter(({ deviceId }) => deviceId === 'dev-unapproved')).toEqual([]);
  const identity = { certificate: first.pem(), privateKey: live.privateKey };
  const path = '/.well-known/est/simplereenroll';
  const { subjectDer } = first;
  issuedIn(await call(est, enrolment({ subjectDer, privateKey: live.privateKey }, { path, identity })));
  await tell('ACCOUNT_RESUMED', 3);
  // one of its requests may have had its certificate made, and revoked, at the very moment of the suspension
  await newcomer.newGrant();
  await vi.waitFor(async () => {
    const reply = await newcomer.ask();
    expect(reply.status, reply.body).toBe(200);
  }, 10_000);
});
