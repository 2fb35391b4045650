import {
  addBlockRule,
  type BlockTarget,
  blockDevices,
  claimCodeOf,
  claimDevice,
  claimDevices,
  getDevice,
  PLATFORM_ACCOUNT,
  resetDevices,
  retireDevices,
  unclaimDevices,
} from '@signet/contracts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
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
