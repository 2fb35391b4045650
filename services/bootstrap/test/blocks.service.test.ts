import {
  addBlockRule,
  type BlockTarget,
  blockDevices,
  getDevice,
  listBlockRules,
  newEvent,
  PLATFORM_ACCOUNT,
  removeBlockRule,
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
  ])('by %s: neither claim nor handoff; lifted, both', async (_, __, target) => {
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

  test('a claimed device that a rule means gets no handoff', async () => {
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
