import { addIdentity, claimDevice, getDevice, setAccountSettings, unclaimDevices } from '@signet/contracts';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { deviceRecords } from '../src/collections.ts';
import { ACCOUNT, type BootstrapFixture, openBootstrapFixture } from './support/bootstrap-fixture.ts';

let scene: BootstrapFixture;

beforeEach(async () => {
  scene = await openBootstrapFixture({ SIGNET_OUTWARD_PRIVATE: 'true' });
});

afterEach(() => scene[Symbol.asyncDispose]());

const ada = { account: ACCOUNT, by: 'ada' };

const ask: BootstrapFixture['fixture']['deps']['bus']['request'] = (...given) =>
  scene.fixture.deps.bus.request(...given);

const device = (deviceId: string, account = ACCOUNT) => ask(getDevice, { account, deviceId });

describe('F15: a device with an IDevID and an LDevID', () => {
  /** A factory CA of an account's own; the service hears of it when it looks. */
  const ownCa = (account: string) => {
    const { fixture } = scene;
    const own = fixture.pki.authority({
      kind: 'factory',
      account,
      subject: { commonName: `CA of ${account}` },
    });
    pinned.push(own);
    fixture.setAuthorities([...fixture.pki.authorities, ...pinned]);
    return own;
  };
  let pinned: ReturnType<BootstrapFixture['fixture']['pki']['authority']>[] = [];
  beforeEach(() => {
    pinned = [];
  });
  const ldevidOf = (deviceId: string, signedBy: ReturnType<typeof ownCa>) =>
    scene.fixture.pki.bootstrap(deviceId, { signedBy });
  const add = (account: string, fingerprint: string, certificate: string) =>
    ask(addIdentity, { account, by: 'x', fingerprint, certificate });

  test('is one device to a claim, and the handoff is for the one that its account wants', async () => {
    const { fingerprint, identity } = await scene.make('twin-1');
    const ldevid = ldevidOf('twin-1', ownCa(ACCOUNT));
    const second = ldevid.certificate.fingerprint;
    await ask(addIdentity, { ...ada, fingerprint, certificate: ldevid.cert });
    expect(await ask(claimDevice, { ...ada, fingerprint: second })).toMatchObject({
      fingerprint,
      secondFingerprint: second,
    });
    await expect(scene.claim(fingerprint, { account: 'rival' })).rejects.toMatchObject({
      code: 'claimed-by-another',
    });
    const statuses = async () =>
      Promise.all([identity, ldevid].map(async (one) => (await scene.bootstrap(one)).status));
    expect(await statuses()).toEqual([200, 200]);
    await ask(setAccountSettings, { ...ada, settings: { handsOver: 'ldevid' } });
    expect(await statuses()).toEqual([403, 200]);
    await ask(setAccountSettings, { ...ada, settings: { handsOver: 'idevid' } });
    expect(await statuses()).toEqual([200, 403]);
    const [event] = await scene.events('BOOTSTRAP_REFUSED', 1);
    expect(event?.data).toMatchObject({ code: 'wrong-identity', fingerprint });
  });

  test('nobody makes another’s certificate, or one that is known, the second of a device of his', async () => {
    const [one, two] = [await scene.make('twin-1'), await scene.make('twin-2')];
    const free = ldevidOf('free-1', ownCa(ACCOUNT)).cert;
    await expect(add('rival', one.fingerprint, free)).rejects.toMatchObject({ code: 'unknown-device' });
    await expect(add(ACCOUNT, one.fingerprint, two.identity.cert)).rejects.toMatchObject({
      code: 'identity-taken',
    });
    await expect(add(ACCOUNT, one.fingerprint, 'no certificate')).rejects.toMatchObject({
      code: 'bad-certificate',
    });
    await add(ACCOUNT, one.fingerprint, free);
    await expect(add(ACCOUNT, two.fingerprint, free)).rejects.toMatchObject({ code: 'identity-taken' });
  });

  test('takes as its second only what a factory CA of its account signed: no device of others is captured', async () => {
    const { fingerprint } = await scene.make('bait-1');
    const theirs = ldevidOf('prey-1', ownCa('rival'));
    const refusal = { code: 'bad-certificate', field: 'certificate' };
    for (const certificate of [theirs.cert, scene.fixture.pki.bootstrap('prey-2').cert])
      await expect(add(ACCOUNT, fingerprint, certificate)).rejects.toMatchObject({
        ...refusal,
        message: expect.stringContaining(`not verified by a factory CA that account "${ACCOUNT}" registered`),
      });
    const shared = ownCa(ACCOUNT);
    pinned.push({ ...shared, account: 'rival' });
    scene.fixture.setAuthorities([...scene.fixture.pki.authorities, ...pinned]);
    await expect(add(ACCOUNT, fingerprint, ldevidOf('prey-3', shared).cert)).rejects.toMatchObject({
      ...refusal,
      message: expect.stringContaining('other accounts registered its CA too'),
    });
    const answer = await scene.bootstrap(theirs);
    expect([answer.status, answer.body.code]).toEqual([403, 'unknown-device']);
  });

  test('a second identity that a former owner added does not onboard as the new owner’s device', async () => {
    const { fingerprint, identity } = await scene.make('sold-1');
    await scene.claim(fingerprint, { account: 'seller' });
    const planted = ldevidOf('sold-1', ownCa('seller'));
    await add('seller', fingerprint, planted.cert);
    expect((await scene.bootstrap(planted)).status).toBe(200);
    await ask(unclaimDevices, { account: 'seller', by: 'eve', fingerprints: [fingerprint] });
    await scene.claim(fingerprint, { account: 'buyer' });
    await ask(setAccountSettings, { account: 'buyer', by: 'bob', settings: { handsOver: 'ldevid' } });
    const answer = await scene.bootstrap(planted);
    expect([answer.status, answer.body.code]).toEqual([403, 'unknown-device']);
    expect(scene.grants.filter(({ account }) => account === 'buyer')).toEqual([]);
    expect((await scene.bootstrap(identity)).status).toBe(200);
    expect(await device('sold-1', 'buyer')).not.toHaveProperty('secondFingerprint');
    const free = await scene.make('free-2');
    await scene.claim(free.fingerprint, { account: 'seller' });
    await add('seller', free.fingerprint, planted.cert);
  });

  test('what the maker added counts until somebody buys the device', async () => {
    const { fingerprint, identity } = await scene.make('sold-2');
    const ldevid = ldevidOf('sold-2', ownCa(ACCOUNT));
    await add(ACCOUNT, fingerprint, ldevid.cert);
    await scene.claim(ldevid.certificate.fingerprint, { account: 'buyer' });
    expect((await scene.bootstrap(ldevid)).status).toBe(403);
    expect((await scene.bootstrap(identity)).status).toBe(200);
  });

  test('one that was stored before it was known who set it counts once more where the account’s own CA signed it', async () => {
    const [kept, stale] = [await scene.make('old-1'), await scene.make('old-2')];
    for (const { fingerprint } of [kept, stale]) await scene.claim(fingerprint);
    const [own, theirs] = [ldevidOf('old-1', ownCa(ACCOUNT)), ldevidOf('old-2', ownCa('seller'))];
    const devices = await scene.fixture.deps.store.collection(deviceRecords);
    for (const [{ fingerprint }, { certificate }] of [
      [kept, own],
      [stale, theirs],
    ] as const)
      await devices.update(fingerprint, (record) => ({
        document: {
          ...record,
          secondFingerprint: certificate.fingerprint,
          secondIssuerKeyId: certificate.authorityKeyId,
          secondSerial: certificate.serialNumber,
        },
      }));
    expect((await scene.bootstrap(own)).status).toBe(403);
    await scene.fixture.deps.admission.trust.refresh();
    await scene.startReplica();
    await vi.waitFor(async () => expect((await scene.bootstrap(own)).status).toBe(200), 10_000);
    expect((await scene.bootstrap(theirs)).status).toBe(403);
  });
});
