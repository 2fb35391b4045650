import {
  claimDevices,
  enrollHandedOver,
  getAccountSettings,
  getDevice,
  newEvent,
  OperationError,
  setAccountSettings,
} from '@signet/contracts';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
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

  test('while an account is suspended no claim and no handoff, and all goes on when it is resumed', async () => {
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
