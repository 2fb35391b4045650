import { listAuthorities, REDIRECT_TYPE, signStatement } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { createTestPki } from '@signet/pki/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { leaf, onboard, openMqttSession, rotate } from '../src/index.ts';
import { followRedirect } from '../src/redirect.ts';
import { TestFactory } from './devices.ts';

/** No address is among them: one is another name. */
const names = { SIGNET_BOOTSTRAP_RETRY_SECONDS: '1', SIGNET_SERVER_NAMES: 'localhost' };

let env: DevEnv;
let factory: TestFactory;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv({ env: names }));
  factory = stack.use(await TestFactory.open(env));
});
afterAll(() => stack.disposeAsync());
afterEach(() => vi.useRealTimers());

const settings = (body: object) => env.operator.put('/v1/accounts/acme/settings', body);

describe('F60: a device that was on the shelf for years, its clock at 1970', () => {
  it('onboards and connects; its bootstrap certificate has no end', async () => {
    const device = await factory.claimed('shelf-1');
    const { identity } = await device.folder.factoryFiles();
    expect(leaf(identity).notAfter).toBe(Date.parse('9999-12-31T23:59:59Z'));
    vi.useFakeTimers({ toFake: ['Date'], now: 1000 });
    const enrolled = await onboard(device.folder);
    const bundle = await device.folder.bundle();
    await using session = await openMqttSession(bundle ?? expect.unreachable(), enrolled);
    await session.publish(['status'], 'alive');
    await rotate(device.folder);
  });

  it.each(['another root than that of the factory', 'another name'])(
    'never goes on with a server of %s',
    async (what) => {
      const isName = what === 'another name';
      const device = await factory.claimed(isName ? 'shelf-2' : 'shelf-3');
      const { identity, trust, url } = await device.folder.factoryFiles();
      await device.folder.putFactoryFiles({
        ...identity,
        trust: isName ? trust : createTestPki().root.pem,
        url: isName ? url.replace('localhost', '127.0.0.1') : url,
      });
      vi.useFakeTimers({ toFake: ['Date'], now: 1000 });
      const over = new AbortController();
      const reasons: string[] = [];
      const ended = onboard(device.folder, {
        maxWaitMs: 50,
        signal: over.signal,
        report: (step) => {
          if (step.step !== 'retrying') return;
          reasons.push(step.reason);
          over.abort();
        },
      });
      await expect(ended).rejects.toThrow();
      expect(reasons[0]).toMatch(
        isName ? /does not match certificate/ : /no root that the device trusts vouches for the server/,
      );
    },
  );
});

describe('F59, F67: two instances with different roots', () => {
  it('the first sends the device on by a statement that its root vouches for; after the move back the second refuses the old identity', async () => {
    await using other = await startDevEnv({ env: { SIGNET_BOOTSTRAP_RETRY_SECONDS: '1' } });
    await other.operator.post('/v1/accounts/acme/factory/authorities', {
      certificate: await certificateOf(env, 'factory'),
      firstContact: 'claimed',
      waiver: 'test',
      byPlatform: true,
    });
    const device = await factory.make('moving-1');
    const { trust } = await device.folder.factoryFiles();
    const theirs = await certificateOf(other, 'root');
    expect(theirs).not.toBe(trust);
    await env.operator.put(`/v1/accounts/acme/redirects/${device.fingerprint}`, {
      url: `https://localhost:${other.ports.bootstrap}`,
      trustAnchors: [theirs],
    });

    const there = await onboard(device.folder, { maxWaitMs: 500 });
    const thereBundle = (await device.folder.bundle()) ?? expect.unreachable();
    expect(thereBundle.trustAnchors).toEqual([theirs]);
    expect(new URL(thereBundle.est.url).port).toBe(String(other.ports.est));
    await (await openMqttSession(thereBundle, there))[Symbol.asyncDispose]();

    await env.operator.call('DELETE', `/v1/accounts/acme/redirects/${device.fingerprint}`);
    await factory.claim(device);
    await other.operator.post('/v1/accounts/acme/devices/actions/unclaim', { deviceIds: ['moving-1'] });
    const here = await onboard(device.folder, { maxWaitMs: 500 });
    const hereBundle = (await device.folder.bundle()) ?? expect.unreachable();
    expect(leaf(here).serialNumber).not.toBe(leaf(there).serialNumber);
    await (await openMqttSession(hereBundle, here))[Symbol.asyncDispose]();
    await vi.waitFor(
      () => expect(openMqttSession(thereBundle, there)).rejects.toMatchObject({ code: 'refused' }),
      { timeout: 10_000, interval: 200 },
    );
  });

  it.each([
    ['another device', { fingerprint: 'a'.repeat(64) }, /the statement is for another device/],
    ['another host', { url: 'https://evil.example:8444' }, /the statement is for https:\/\/evil.example/],
    ['a time long past', { exp: 1 }, /the statement has expired/],
  ])('a statement for %s is not followed', async (_, changes, message) => {
    const device = await factory.make(`sent-${String(message).length}`);
    const { trust } = await device.folder.factoryFiles();
    const location = 'https://other.example:8444/v1/bootstrap';
    const statement = {
      ...{ fingerprint: device.fingerprint, url: 'https://other.example:8444', trustAnchors: [] },
      ...{ iat: 1, exp: 9_999_999_999 },
      ...changes,
    };
    const { jws } = await env.deps.bus.request(signStatement, {
      account: 'signet',
      type: REDIRECT_TYPE,
      payload: Buffer.from(JSON.stringify(statement)).toString('base64url'),
    });
    const from = { url: new URL('https://here.example'), trust, fingerprint: device.fingerprint };
    const follow = (text: string) => () =>
      followRedirect({ location, body: JSON.stringify({ statement: text }) }, from);
    expect(follow(jws)).toThrow(message);
    expect(follow(`${jws.slice(0, -4)}AAAA`)).toThrow(/signature: not over this statement/);
    const foreign = { ...from, trust: createTestPki().root.pem };
    expect(() => followRedirect({ location, body: JSON.stringify({ statement: jws }) }, foreign)).toThrow(
      /nobody that is trusted vouches/,
    );
  });

  it('an account’s own commands are no redirects of the platform', async () => {
    const device = await factory.make('sent-own');
    const { trust } = await device.folder.factoryFiles();
    const { jws } = await env.deps.bus.request(signStatement, {
      account: 'acme',
      type: REDIRECT_TYPE,
      payload: '',
    });
    const body = JSON.stringify({ statement: jws });
    const from = { url: new URL('https://here.example'), trust, fingerprint: device.fingerprint };
    expect(() => followRedirect({ location: 'https://x.example/', body }, from)).toThrow(/may not say this/);
  });
});

async function certificateOf(platform: DevEnv, kind: 'root' | 'factory'): Promise<string> {
  const { authorities } = await platform.deps.bus.request(listAuthorities, {});
  const found = authorities.find((authority) => authority.kind === kind && authority.account === 'signet');
  return found?.certificate ?? expect.unreachable();
}

describe('F64: the reply to a bootstrap request', () => {
  it('has the operational certificate where the device sent its CSR, and it opens the broker', async () => {
    const device = await factory.claimed('once-1');
    const steps: string[] = [];
    const identity = await onboard(device.folder, { atOnce: true, report: ({ step }) => steps.push(step) });
    const bundle = (await device.folder.bundle()) ?? expect.unreachable();
    expect(bundle.certificate).toBe(identity.certificate);
    expect(bundle.account).toBe('acme');
    await using _session = await openMqttSession(bundle, identity);
  });

  it('with the CSR in another name says why there is no certificate, and EST gives one', async () => {
    const made = await factory.make('once-2');
    await env.operator.post('/v1/accounts/acme/devices', {
      fingerprint: made.fingerprint,
      deviceId: 'hall-3-pump',
    });
    const identity = await onboard(made.folder, { atOnce: true });
    const bundle = (await made.folder.bundle()) ?? expect.unreachable();
    expect(bundle.certificate).toBeUndefined();
    expect(bundle.refusal).toMatchObject({ code: 'wrong-subject' });
    expect(leaf(identity).subject.commonName).toBe('hall-3-pump');
  });

  it('asked again after the answer was lost, has the certificate that the key got before (F13)', async () => {
    const device = await factory.claimed('once-3');
    const first = await onboard(device.folder, { atOnce: true });
    await device.folder.putPendingKey(first.key);
    const again = await onboard(device.folder, { atOnce: true });
    expect(leaf(again).serialNumber).toBe(leaf(first).serialNumber);
  });

  it('F19, F20, F21, F23: has random MQTT credentials, the command certificate and the settings of the account', async () => {
    await settings({ mqttCredentials: true, config: { interval: '30' } });
    const bundles = [];
    for (const id of ['cred-1', 'cred-2']) {
      const device = await factory.claimed(id);
      const identity = await onboard(device.folder);
      const bundle = (await device.folder.bundle()) ?? expect.unreachable();
      await using _session = await openMqttSession(bundle, identity);
      bundles.push(bundle);
    }
    const [one, two] = bundles;
    expect(one?.mqtt.password).toMatch(/^.{32,}$/);
    expect(one?.mqtt.password).not.toBe(two?.mqtt.password);
    expect(one?.config).toEqual({ interval: '30' });
    expect(one?.commands?.certificate).toBe(two?.commands?.certificate);
    expect(one?.commands?.chain.at(-1)).toBe(one?.trustAnchors[0]);
    await settings({ mqttCredentials: false, config: {} });
  });
});

describe('F67: a device that is reset', () => {
  it('has its certificates revoked, and comes back with another one as a new onboarding', async () => {
    const device = await factory.claimed('reset-1');
    const first = await onboard(device.folder);
    await env.operator.post('/v1/accounts/acme/devices/actions/reset', { deviceIds: ['reset-1'] });
    const view = async () =>
      (await env.operator.get('/v1/accounts/acme/devices/reset-1')) as {
        device: { state: string; deviceSerialNumber: string };
        certificates: { serialNumber: string; revokedAt?: string }[];
      };
    await vi.waitFor(async () => {
      const { certificates } = await view();
      expect(certificates).toHaveLength(1);
      expect(certificates[0]?.revokedAt).toBeDefined();
    }, 10_000);
    const second = await onboard(device.folder);
    expect(leaf(second).serialNumber).not.toBe(leaf(first).serialNumber);
    const after = await view();
    expect(after.device.deviceSerialNumber).toBe('reset-1');
    const live = after.certificates.filter(({ revokedAt }) => revokedAt === undefined);
    expect(live.map(({ serialNumber }) => serialNumber)).toEqual([leaf(second).serialNumber]);
  });
});

describe('F29: a device whose certificate was revoked', () => {
  it('waits, where its account lets in only after a reset, and is in again with it', async () => {
    await settings({ comesBack: 'after-reset' });
    const device = await factory.claimed('back-1');
    await onboard(device.folder);
    await vi.waitFor(async () => {
      const { device: known } = (await env.operator.get('/v1/accounts/acme/devices/back-1')) as {
        device: { state: string };
      };
      expect(known.state).toBe('enrolled');
    }, 10_000);
    const steps: string[] = [];
    const back = onboard(device.folder, { maxWaitMs: 200, report: ({ step }) => steps.push(step) });
    await vi.waitFor(() => expect(steps).toContain('waiting'), 10_000);
    await env.operator.post('/v1/accounts/acme/devices/actions/reset', { deviceIds: ['back-1'] });
    await back;
    expect(steps.at(-1)).toBe('enrolled');
    await settings({ comesBack: 'unattended' });
  });
});
