import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  addBlockRule,
  addIdentity,
  type BlockTarget,
  blockDevices,
  claimCodeOf,
  claimDevice,
  claimDevices,
  enrollHandedOver,
  getAccountSettings,
  getDevice,
  getHook,
  listBlockRules,
  listNotifications,
  listRedirects,
  newEvent,
  OperationError,
  PLATFORM_ACCOUNT,
  removeBlockRule,
  removeHook,
  removeRedirect,
  resetDevices,
  retireDevices,
  retryNotification,
  setAccountSettings,
  setHook,
  setRedirect,
  signStatement,
  unclaimDevices,
} from '@signet/contracts';
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

describe('F61: what is blocked before it is onboarded', () => {
  const block = (target: BlockTarget, account = ACCOUNT) =>
    ask(addBlockRule, { account, target, reason: 'stolen', by: 'ada' });

  const pinnedFactory = () => `factory-${scene.fixture.pki.factory.certificate.subjectKeyId?.slice(0, 8)}`;

  test.each([
    [
      'its fingerprint',
      async () => undefined,
      (fingerprint: string): BlockTarget => ({ kind: 'fingerprint', fingerprint }),
    ],
    [
      'its serial number',
      async () => undefined,
      (): BlockTarget => ({ kind: 'serials', serials: 'pump-0001..pump-0099' }),
    ],
    [
      'its factory CA',
      async () => undefined,
      (): BlockTarget => ({ kind: 'factory-ca', authorityId: pinnedFactory() }),
    ],
  ])('by %s: neither claimed nor handed over; lifted, it is', async (_, __, target) => {
    scene.estCa.authorityId = pinnedFactory();
    const { fingerprint, identity } = await scene.make('pump-0017');
    const rule = await block(target(fingerprint));
    await expect(scene.claim(fingerprint)).rejects.toMatchObject({
      code: 'blocked',
      message: 'fingerprint: the device is blocked: stolen',
    });
    await expect(scene.claim(fingerprint, { account: 'buyer' })).rejects.toMatchObject({ code: 'blocked' });
    const answer = await scene.bootstrap(identity);
    expect([answer.status, answer.body.code, answer.body.detail]).toEqual([
      403,
      'blocked',
      'this device is not admitted here',
    ]);
    const [event] = await scene.events('BOOTSTRAP_REFUSED', 1);
    expect(event?.data).toMatchObject({ code: 'blocked', message: 'rule: the device is blocked: stolen' });
    expect((await ask(listBlockRules, { account: ACCOUNT })).items).toEqual([rule]);
    await ask(removeBlockRule, { ...ada, ruleId: rule.ruleId });
    await scene.claim(fingerprint);
    expect((await scene.bootstrap(identity)).status).toBe(200);
  });

  test('devices that are made later are blocked as well', async () => {
    await block({ kind: 'serials', serials: 'late-1..late-9' });
    const { fingerprint } = await scene.make('late-5');
    await expect(scene.claim(fingerprint)).rejects.toMatchObject({ code: 'blocked' });
    await scene.claim((await scene.make('later-5')).fingerprint);
  });

  test('a claimed device that a rule means is not handed over', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.claim(fingerprint);
    await block({ kind: 'fingerprint', fingerprint });
    expect((await scene.bootstrap(identity)).status).toBe(403);
    expect(scene.grants).toEqual([]);
  });

  test('F66: rules of one account say nothing of another’s devices; those of the platform of everybody’s', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.claim(fingerprint, { account: 'buyer' });
    await block({ kind: 'serials', serials: 'pump-1' });
    expect((await scene.bootstrap(identity)).status).toBe(200);
    await block({ kind: 'serials', serials: 'pump-1' }, PLATFORM_ACCOUNT);
    expect((await scene.bootstrap(identity)).status).toBe(403);
    await expect(
      ask(removeBlockRule, { ...ada, ruleId: `${PLATFORM_ACCOUNT}/serial/pump-1` }),
    ).rejects.toMatchObject({ code: 'unknown-rule' });
  });

  test('a factory CA that nobody registered is named', async () => {
    await expect(block({ kind: 'factory-ca', authorityId: 'factory-9' })).rejects.toMatchObject({
      code: 'unknown-authority',
      message: 'target.authorityId: no factory CA "factory-9" is known',
    });
  });

  test('half a range is refused', async () => {
    await expect(block({ kind: 'serials', serials: 'pump-9..pump-1' })).rejects.toMatchObject({
      code: 'invalid-input',
      message: expect.stringContaining('its end comes before its beginning'),
    });
  });
});

describe('F62: a factory CA that is voided', () => {
  const changed = (state: 'revoked' | 'disabled' | 'active', sequence: number) => ({
    ...newEvent('CA_CHANGED', {
      account: ACCOUNT,
      subject: 'factory-1',
      time: Date.now(),
      data: {
        ...{ authorityId: 'factory-1', kind: 'factory', state, reason: 'key stolen' },
        ...{ subjectKeyId: 'aa'.repeat(20), notAfter: '9999-12-31T23:59:59Z' },
      },
    }),
    sequence,
  });
  const publish = (...events: ReturnType<typeof changed>[]) => scene.fixture.deps.bus.publish(events);
  const states = async (...ids: string[]) => Promise.all(ids.map(async (id) => (await device(id)).state));

  test('shuts out all its devices by one call, the onboarded ones too, each with its event; those that nobody claimed cannot be', async () => {
    const made = await Promise.all(['a-1', 'a-2', 'a-3'].map((id) => scene.make(id)));
    const [one, two, three] = made.map(({ fingerprint }) => fingerprint);
    await scene.claim(one ?? '');
    await scene.claim(two ?? '');
    await scene.bootstrap(made[0]?.identity);
    await publish(changed('revoked', 2));
    await vi.waitFor(async () => expect(await states('a-1', 'a-2')).toEqual(['blocked', 'blocked']), 10_000);
    await expect(scene.claim(three ?? '')).rejects.toMatchObject({
      code: 'blocked',
      message: 'fingerprint: the device is blocked: key stolen',
    });
    const events = await scene.events('DEVICE_BLOCKED', 3);
    expect(new Set(events.map(({ subject }) => subject))).toEqual(new Set(['a-1', 'a-2', 'a-3']));
    expect(events.find(({ subject }) => subject === 'a-1')?.data).toMatchObject({
      account: ACCOUNT,
      reason: 'key stolen',
    });
  });

  test('that is only disabled, and comes back, gives back what it took and nothing else', async () => {
    const [one, two] = [await scene.make('b-1'), await scene.make('b-2')];
    await scene.claim(one.fingerprint);
    await scene.claim(two.fingerprint);
    await ask(blockDevices, { ...ada, reason: 'lost', deviceIds: ['b-2'] });
    await publish(changed('disabled', 2));
    await vi.waitFor(async () => expect(await states('b-1')).toEqual(['blocked']), 10_000);
    await publish(changed('active', 3), changed('disabled', 2));
    await vi.waitFor(async () => expect(await states('b-1', 'b-2')).toEqual(['claimed', 'blocked']), 10_000);
    await scene.claim((await scene.make('b-3')).fingerprint);
  });

  test('leaves onboarded devices alone where their account says so', async () => {
    await ask(setAccountSettings, { ...ada, settings: { voidedFactoryCaDenies: false } });
    const [one, two] = [await scene.make('c-1'), await scene.make('c-2')];
    await scene.claim(one.fingerprint);
    await scene.claim(two.fingerprint);
    await scene.bootstrap(one.identity);
    await publish(changed('revoked', 2));
    await vi.waitFor(async () => expect(await states('c-2')).toEqual(['blocked']), 10_000);
    expect(await states('c-1')).toEqual(['bootstrapped']);
  });
});

describe('claims of many', () => {
  test('say of each what came of it, and of another’s not whose it is', async () => {
    const [mine, theirs, blocked, retired] = [
      await scene.make('m-1'),
      await scene.make('m-2'),
      await scene.make('m-3'),
      await scene.make('m-4'),
    ];
    await scene.claim(theirs.fingerprint, { account: 'rival' });
    await ask(blockDevices, { ...ada, reason: 'lost', fingerprints: [blocked.fingerprint] });
    await scene.claim(retired.fingerprint);
    await ask(retireDevices, { ...ada, reason: 'old', fingerprints: [retired.fingerprint] });
    const { results } = await ask(claimDevices, {
      ...ada,
      items: [
        { fingerprint: mine.fingerprint, deviceId: 'hall-1' },
        { fingerprint: mine.fingerprint, deviceId: 'hall-1' },
        { fingerprint: mine.fingerprint, deviceId: 'hall-2' },
        { fingerprint: theirs.fingerprint },
        { fingerprint: blocked.fingerprint },
        { fingerprint: retired.fingerprint },
        { fingerprint: 'f'.repeat(64) },
        { code: 'nonsense' },
      ],
    });
    expect(results.map(({ outcome }) => outcome)).toEqual([
      'claimed',
      'already-yours',
      'already-yours',
      'anothers',
      'blocked',
      'retired',
      'unknown',
      'unknown',
    ]);
    expect(results[2]?.message).toMatch(/^deviceId: it is "hall-1" in this account/);
    expect(JSON.stringify(results)).not.toContain('rival');
  });

  test('a device that is yours already is not moved to the group of a later claim, and its result says so', async () => {
    const { fingerprint } = await scene.make('m-1');
    const claim = async (group?: string) => {
      const items = [{ fingerprint, ...(group === undefined ? {} : { group }) }];
      return (await ask(claimDevices, { ...ada, items })).results[0];
    };
    const result = { fingerprint, deviceId: 'm-1' };
    expect(await claim('hall-3')).toEqual({ ...result, outcome: 'claimed' });
    expect([await claim(), await claim('hall-3')]).toEqual(
      Array(2).fill({ ...result, outcome: 'already-yours' }),
    );
    expect(await claim('office')).toEqual({
      ...{ ...result, outcome: 'already-yours' },
      message:
        'group: the device was claimed before and is not moved; put it into "office" by `signet groups add`',
    });
    expect(await device('m-1')).toMatchObject({ group: 'hall-3' });
  });

  test('F61: rules that block one device or many hold for each of them', async () => {
    const made = [await scene.make('n-1'), await scene.make('n-2'), await scene.make('n-3')];
    const [free, alone, among] = made.map(({ fingerprint }) => fingerprint);
    const block = (target: BlockTarget, account = ACCOUNT) =>
      ask(addBlockRule, { account, target, reason: 'stolen', by: 'ada' });
    const items = [free, alone, among].map((fingerprint) => ({ fingerprint }));
    const outcomes = async () =>
      (await ask(claimDevices, { ...ada, items })).results.map(({ outcome }) => outcome);
    await block({ kind: 'fingerprint', fingerprint: alone ?? '' }, PLATFORM_ACCOUNT);
    await block({ kind: 'serials', serials: 'n-3..n-9' });
    expect(await outcomes()).toEqual(['claimed', 'blocked', 'blocked']);
    await block({ kind: 'fingerprint', fingerprint: free ?? '' });
    expect(await outcomes()).toEqual(['blocked', 'blocked', 'blocked']);
  });

  test('F63: by claim code, as somebody typed it; a wrong character is found', async () => {
    const { fingerprint } = await scene.make('pump-1');
    const code = claimCodeOf(fingerprint);
    const claim = (text: string) => ask(claimDevice, { ...ada, code: text });
    await expect(claim(`${code.slice(0, -1)}${code.endsWith('7') ? '8' : '7'}`)).rejects.toMatchObject({
      code: 'bad-claim-code',
      field: 'code',
    });
    await expect(claim(claimCodeOf('e'.repeat(64)))).rejects.toMatchObject({ code: 'unknown-device' });
    expect(await claim(code.toLowerCase().replaceAll('-', ' '))).toMatchObject({ fingerprint });
  });
});

describe('F67: reset and giving up', () => {
  test('F56: a reset device is claimed again, its immutable fields stay, and its next handoff is a new onboarding', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.claim(fingerprint, { group: 'hall' });
    await scene.bootstrap(identity);
    const before = await device('pump-1');
    const { changed } = await ask(resetDevices, { ...ada, deviceIds: ['pump-1'] });
    expect(changed).toEqual(['pump-1']);
    const { bootstrappedAt: _at, state: _state, ...kept } = before;
    expect(await device('pump-1')).toEqual({ ...kept, state: 'claimed' });
    await scene.bootstrap(identity);
    const events = await scene.events('DEVICE_BOOTSTRAPPED', 2);
    expect(new Set(events.map(({ data }) => data.onboarding)).size).toBe(2);
    const [event] = await scene.events('DEVICE_RESET', 1);
    expect(event?.data).toMatchObject({ from: 'bootstrapped', to: 'claimed', by: 'ada' });
  });

  test('given up, it is as it left the factory, for the next account', async () => {
    const { fingerprint } = await scene.make('pump-1');
    await scene.claim(fingerprint, { account: 'buyer', deviceId: 'hall-3' });
    await ask(unclaimDevices, { account: 'buyer', by: 'bob', deviceIds: ['hall-3'] });
    const [event] = await scene.events('DEVICE_RESET', 1);
    expect(event).toMatchObject({ account: 'buyer', subject: 'hall-3', data: { to: 'manufactured' } });
    await scene.claim(fingerprint, { account: 'next' });
    expect(await device('pump-1', 'next')).toMatchObject({ state: 'claimed' });
    await expect(device('hall-3', 'buyer')).rejects.toMatchObject({ code: 'unknown-device' });
  });

  test('F66: nobody resets or gives up another’s device, and a blocked one stays where it is', async () => {
    const { fingerprint } = await scene.make('pump-1');
    await scene.claim(fingerprint, { account: 'buyer' });
    for (const operation of [resetDevices, unclaimDevices]) {
      expect(await ask(operation, { ...ada, fingerprints: [fingerprint] })).toMatchObject({
        changed: [],
        failed: [{ code: 'unknown-device' }],
      });
      await ask(blockDevices, { account: 'buyer', by: 'bob', reason: 'lost', fingerprints: [fingerprint] });
      expect(
        await ask(operation, { account: 'buyer', by: 'bob', fingerprints: [fingerprint] }),
      ).toMatchObject({ changed: [], failed: [{ code: 'illegal-transition' }] });
    }
  });
});

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

  test('is one device to a claim, and hands over to the one that its account wants', async () => {
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

describe('F59: redirects', () => {
  const theirs = { url: 'https://eu.example:8444', by: 'ada' };
  let signed: unknown[] = [];
  let serving: AsyncDisposable;
  beforeEach(async () => {
    signed = [];
    serving = await scene.fixture.deps.bus.serve(signStatement, async ({ account, type, payload }) => {
      signed.push({ account, type, ...JSON.parse(Buffer.from(payload, 'base64url').toString()) });
      return { jws: 'a.b.c' };
    });
  });
  afterEach(() => serving[Symbol.asyncDispose]());

  test('a device is sent on by 307 with a statement of its own; blocked, it is not', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    const { pem } = scene.fixture.pki.root;
    await ask(setRedirect, { ...theirs, account: ACCOUNT, subject: { fingerprint }, trustAnchors: [pem] });
    const answer = await scene.bootstrap(identity);
    expect([answer.status, answer.headers.location, answer.body]).toEqual([
      307,
      'https://eu.example:8444/v1/bootstrap',
      { statement: 'a.b.c' },
    ]);
    expect(signed).toEqual([
      expect.objectContaining({ account: 'signet', fingerprint, url: theirs.url, trustAnchors: [pem] }),
    ]);
    await ask(blockDevices, { ...ada, reason: 'lost', fingerprints: [fingerprint] });
    expect((await scene.bootstrap(identity)).status).toBe(403);
  });

  test('of a whole account; removed, devices are handed over here again', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.claim(fingerprint);
    await ask(setRedirect, { ...theirs, account: ACCOUNT, subject: { account: ACCOUNT }, trustAnchors: [] });
    expect((await scene.bootstrap(identity)).status).toBe(307);
    expect((await ask(listRedirects, { account: ACCOUNT })).items).toHaveLength(1);
    await ask(removeRedirect, { ...ada, subject: { account: ACCOUNT } });
    expect((await scene.bootstrap(identity)).status).toBe(200);
  });

  test('F66: nobody sends away another’s device, nor one that he gave up', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    const send = (account: string, subject: { fingerprint: string } | { account: string }) =>
      ask(setRedirect, { ...theirs, account, subject, trustAnchors: [] });
    await expect(send('rival', { fingerprint })).rejects.toMatchObject({ code: 'unknown-device' });
    await expect(send('rival', { fingerprint: 'e'.repeat(64) })).rejects.toMatchObject({
      code: 'unknown-device',
    });
    await expect(send('rival', { account: ACCOUNT })).rejects.toMatchObject({ code: 'unknown-device' });
    await send(ACCOUNT, { fingerprint });
    await scene.claim(fingerprint, { account: 'buyer' });
    expect((await scene.bootstrap(identity)).status).toBe(200);
  });

  test('the platform sends on what it does not know itself', async () => {
    const stranger = scene.fixture.pki.bootstrap('ghost-1');
    const { fingerprint } = stranger.certificate;
    await ask(setRedirect, {
      ...theirs,
      account: PLATFORM_ACCOUNT,
      subject: { fingerprint },
      trustAnchors: [],
    });
    expect((await scene.bootstrap(stranger)).status).toBe(307);
  });

  test('what is no root is none', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    const set = ask(setRedirect, {
      ...theirs,
      account: ACCOUNT,
      subject: { fingerprint },
      trustAnchors: [identity.cert],
    });
    await expect(set).rejects.toMatchObject({ code: 'bad-certificate', field: 'trustAnchors.0' });
  });
});

describe('settings of an account', () => {
  test('stay as they are where they are not changed, and go back to the defaults', async () => {
    scene.profiles.add('sensors');
    await ask(setAccountSettings, { ...ada, settings: { mqttCredentials: true, profile: 'sensors' } });
    const changed = await ask(setAccountSettings, { ...ada, settings: { profile: null } });
    expect(changed).toMatchObject({ mqttCredentials: true, changedBy: 'ada' });
    expect(changed.profile).toBeUndefined();
    expect(await ask(getAccountSettings, { account: 'other' })).toMatchObject({ mqttCredentials: false });
  });

  test('a profile that does not exist is refused when it is set, and the settings stay', async () => {
    const set = ask(setAccountSettings, { ...ada, settings: { mqttCredentials: true, profile: 'sensros' } });
    await expect(set).rejects.toMatchObject({
      code: 'unknown-profile',
      message: 'profile: account "acme" has no profile "sensros"',
      field: 'profile',
    });
    expect(await ask(getAccountSettings, { account: ACCOUNT })).toMatchObject({ mqttCredentials: false });
  });

  test.each(['unknown-profile', 'no-issuing-ca'])(
    'a device whose account is misconfigured (%s) waits, is reported with that code, and comes in once it is mended',
    async (code) => {
      const { fingerprint, identity } = await scene.make('pump-1');
      await scene.claim(fingerprint);
      scene.estCa.failure = new OperationError(code, 'profile: account "acme" has no profile "gone"');
      const answer = await scene.bootstrap(identity);
      expect([answer.status, answer.headers['retry-after'], answer.body]).toEqual([
        202,
        '30',
        { state: 'claimed' },
      ]);
      const [event] = await scene.events('BOOTSTRAP_REFUSED', 1);
      expect(event).toMatchObject({ account: ACCOUNT, subject: 'pump-1' });
      expect(event?.data).toMatchObject({ code, deviceId: 'pump-1', fingerprint });
      scene.estCa.failure = undefined;
      expect((await scene.bootstrap(identity)).status).toBe(200);
    },
  );

  test('while an account is suspended nothing is claimed into it or handed over, and all goes on when it is resumed', async () => {
    const [claimed, fresh] = [await scene.make('pump-1'), await scene.make('pump-2')];
    await scene.claim(claimed.fingerprint);
    const tell = (type: 'ACCOUNT_SUSPENDED' | 'ACCOUNT_RESUMED', sequence: number) => {
      const facts = { account: ACCOUNT, subject: ACCOUNT, time: Date.now() };
      const event = newEvent(type, { ...facts, data: { by: 'ada', reason: 'unpaid' } });
      return scene.fixture.deps.bus.publish([{ ...event, sequence }]);
    };
    await tell('ACCOUNT_SUSPENDED', 2);
    await vi.waitFor(async () => expect((await scene.bootstrap(claimed.identity)).status).toBe(202), 10_000);
    const [event] = await scene.events('BOOTSTRAP_REFUSED', 1);
    expect(event?.data).toMatchObject({ code: 'account-suspended', deviceId: 'pump-1' });
    const suspended = { code: 'account-suspended', message: 'account: "acme" is suspended' };
    await expect(scene.claim(fresh.fingerprint)).rejects.toMatchObject(suspended);
    const items = [{ fingerprint: fresh.fingerprint }];
    await expect(ask(claimDevices, { account: ACCOUNT, items, by: 'ada' })).rejects.toMatchObject(suspended);
    await scene.claim(fresh.fingerprint, { account: 'buyer' });
    await tell('ACCOUNT_RESUMED', 3);
    // one that comes late, or again, changes nothing any more
    await tell('ACCOUNT_SUSPENDED', 2);
    await vi.waitFor(async () => expect((await scene.bootstrap(claimed.identity)).status).toBe(200), 10_000);
  });

  test('F29: a device that enrolled waits for an operator where its account wants that', async () => {
    await ask(setAccountSettings, { ...ada, settings: { comesBack: 'after-reset' } });
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.claim(fingerprint);
    expect((await scene.bootstrap(identity)).status).toBe(200);
    expect((await scene.bootstrap(identity)).status).toBe(200);
    await scene.connected('pump-1');
    await vi.waitFor(async () => expect(await device('pump-1')).toMatchObject({ state: 'active' }));
    const answer = await scene.bootstrap(identity);
    expect([answer.status, answer.body]).toEqual([202, { state: 'active' }]);
    const [event] = await scene.events('BOOTSTRAP_REFUSED', 1);
    expect(event?.data).toMatchObject({ code: 'waits-for-operator' });
  });
});

describe('F64: a CSR in the request', () => {
  test('that is refused leaves the bundle, with the reason, and is reported', async () => {
    await using _serving = await scene.fixture.deps.bus.serve(enrollHandedOver, async () => ({
      refusal: { code: 'weak-key' as const, message: 'key: RSA of 1024 bits' },
    }));
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.claim(fingerprint);
    const answer = await scene.bootstrap(identity, undefined, { csr: 'x' });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ refusal: { code: 'weak-key', detail: 'key: RSA of 1024 bits' } });
    const [event] = await scene.events('BOOTSTRAP_REFUSED', 1);
    expect(event?.data).toMatchObject({ code: 'weak-key', deviceId: 'pump-1' });
  });

  test.each([[{ csr: 5 }], [{ csr: 'x'.repeat(40_000) }], ['text']])(
    'a body that is none: 400, and nothing has changed: %j',
    async (body) => {
      const { fingerprint, identity } = await scene.make('pump-1');
      await scene.claim(fingerprint);
      const answer = await scene.bootstrap(identity, undefined, body);
      expect([answer.status, answer.body.code]).toEqual([400, 'malformed-request']);
      expect(scene.grants).toEqual([]);
    },
  );
});

describe('F65: the onboarding hook', () => {
  test('is told once of each onboarding, signed, however often the device is handed over and the hook refuses', async () => {
    await using receiver = await Receiver.open((count) => (count <= 2 ? 500 : 204));
    await ask(setHook, { ...ada, url: receiver.url });
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.claim(fingerprint);
    await Promise.all([scene.bootstrap(identity), scene.bootstrap(identity)]);
    await scene.bootstrap(identity);
    const delivered = () => ask(listNotifications, { account: ACCOUNT, state: 'delivered' });
    await vi.waitFor(async () => expect((await delivered()).items).toHaveLength(1), 15_000);
    expect((await delivered()).items[0]).toMatchObject({ deviceId: 'pump-1', attempts: 3 });
    expect(new Set(receiver.calls.map(({ id }) => id)).size).toBe(1);
    expect(receiver.calls).toHaveLength(3);
    expect(JSON.parse(receiver.calls[2]?.body ?? '')).toMatchObject({
      type: 'device.onboarded',
      data: { account: ACCOUNT, deviceId: 'pump-1', fingerprint },
    });
    await ask(resetDevices, { ...ada, deviceIds: ['pump-1'] });
    await scene.bootstrap(identity);
    await vi.waitFor(async () => expect((await delivered()).items).toHaveLength(2), 15_000);
    expect(new Set(receiver.calls.map(({ id }) => id)).size).toBe(2);
  });

  test('of two replicas one sends', async () => {
    await using receiver = await Receiver.open(() => 200);
    await scene.startReplica();
    await ask(setHook, { ...ada, url: receiver.url });
    for (let n = 0; n < 5; n++) {
      const { fingerprint, identity } = await scene.make(`pump-${n}`);
      await scene.claim(fingerprint);
      await scene.bootstrap(identity);
    }
    const delivered = () => ask(listNotifications, { account: ACCOUNT, state: 'delivered' });
    await vi.waitFor(async () => expect((await delivered()).items).toHaveLength(5), 15_000);
    expect(receiver.calls).toHaveLength(5);
  });

  test('that redirects, or answers 500 to the last, is given up, and tried again when an operator says so', async () => {
    let status = 302;
    await using receiver = await Receiver.open(() => status);
    await ask(setHook, { ...ada, url: receiver.url });
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.claim(fingerprint);
    await scene.bootstrap(identity);
    const dead = () => ask(listNotifications, { account: ACCOUNT, state: 'dead' });
    await vi.waitFor(async () => expect((await dead()).items).toHaveLength(1), 15_000);
    const [one] = (await dead()).items;
    expect(one).toMatchObject({ error: 'status 302: redirects are not followed' });
    status = 200;
    const retry = { ...ada, notificationId: one?.notificationId ?? '' };
    await expect(ask(retryNotification, { ...retry, account: 'rival' })).rejects.toMatchObject({
      code: 'unknown-notification',
    });
    await ask(retryNotification, retry);
    await vi.waitFor(async () => expect((await dead()).items).toHaveLength(0), 15_000);
  });

  test('that hangs holds up neither handoffs nor the hook of another account', async () => {
    await using hanging = await Receiver.open(() => undefined);
    await using receiver = await Receiver.open(() => 200);
    await ask(setHook, { ...ada, url: hanging.url });
    await ask(setHook, { account: 'buyer', by: 'bob', url: receiver.url });
    for (let n = 0; n < 6; n++) {
      const { fingerprint, identity } = await scene.make(`slow-${n}`);
      await scene.claim(fingerprint);
      expect((await scene.bootstrap(identity)).status).toBe(200);
    }
    await vi.waitFor(() => expect(hanging.calls.length).toBeGreaterThan(0), 10_000);
    const { fingerprint, identity } = await scene.make('quick-1');
    await scene.claim(fingerprint, { account: 'buyer' });
    await scene.bootstrap(identity);
    await vi.waitFor(() => expect(receiver.calls).toHaveLength(1), 5000);
    expect(hanging.calls.length).toBeLessThanOrEqual(4);
  });

  test('is removed with what is on its way, and known to its own account alone', async () => {
    await ask(setHook, { ...ada, url: 'https://hooks.example/x' });
    expect(await ask(getHook, { account: ACCOUNT })).toMatchObject({ url: 'https://hooks.example/x' });
    await expect(ask(getHook, { account: 'rival' })).rejects.toMatchObject({ code: 'no-hook' });
    await ask(removeHook, ada);
    await expect(ask(removeHook, ada)).rejects.toMatchObject({ code: 'no-hook' });
  });
});

describe('F65: a hook in a network that is not public', () => {
  test.each([
    ['http://hooks.example/x', 'url: https: expected'],
    ['https://127.0.0.1/x', 'url: 127.0.0.1 is a private address'],
    ['https://[::1]/x', 'url: ::1 is a private address'],
    ['https://169.254.169.254/latest', 'url: 169.254.169.254 is a private address'],
  ])('is refused: %s', async (url, message) => {
    await using strict = await openBootstrapFixture();
    const set = strict.fixture.deps.bus.request(setHook, { ...ada, url });
    await expect(set).rejects.toMatchObject({ code: 'bad-url', message });
  });

  test('is not called where its name leads there, and the account is told why', async () => {
    await using strict = await openBootstrapFixture();
    const { bus } = strict.fixture.deps;
    await bus.request(setHook, { ...ada, url: 'https://localhost:1/hook' });
    const { fingerprint, identity } = await strict.make('pump-1');
    await strict.claim(fingerprint);
    expect((await strict.bootstrap(identity)).status).toBe(200);
    await vi.waitFor(async () => {
      const { items } = await bus.request(listNotifications, { account: ACCOUNT, state: 'due' });
      const error = expect.stringMatching(
        /^(127\.0\.0\.1|::1) is a private address; SIGNET_OUTWARD_PRIVATE allows them$/,
      );
      expect(items).toMatchObject([{ deviceId: 'pump-1', error }]);
    }, 10_000);
  });
});

/** A back end of an account; `undefined` for an answer that never comes. */
class Receiver implements AsyncDisposable {
  readonly calls: { readonly id: string; readonly body: string }[] = [];
  readonly #server: Server;
  readonly url: string;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  }

  static async open(statusOf: (count: number) => number | undefined): Promise<Receiver> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const receiver = new Receiver(server);
    server.on('request', async (request: IncomingMessage, response) => {
      const body = (await Array.fromAsync(request)).join('');
      expect(request.headers['webhook-signature']).toMatch(/^v1,/);
      expect(request.headers['idempotency-key']).toBe(request.headers['webhook-id']);
      receiver.calls.push({ id: String(request.headers['webhook-id']), body });
      const status = statusOf(receiver.calls.length);
      if (status !== undefined) response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end();
    });
    return receiver;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
