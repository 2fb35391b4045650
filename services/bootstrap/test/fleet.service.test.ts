import {
  blockDevices,
  claimDevice,
  commonCodes,
  factorySign,
  getDevice,
  groupNameOf,
  listClaimedInto,
  listDevices,
  resetDevices,
  retireDevices,
  settleClaimed,
  unblockDevices,
  unclaimDevices,
} from '@signet/contracts';
import { generateKeyPair } from '@signet/pki';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deviceRecords } from '../src/collections.ts';
import { claimErrorCodes } from '../src/domain/refusals/errors.ts';
import { ACCOUNT, type BootstrapFixture, csrOf, openBootstrapFixture } from './support/bootstrap-fixture.ts';

let scene: BootstrapFixture;

beforeEach(async () => {
  scene = await openBootstrapFixture();
});

afterEach(() => scene[Symbol.asyncDispose]());

const ada = { account: ACCOUNT, by: 'ada', reason: 'lost' };

const ask: BootstrapFixture['fixture']['deps']['bus']['request'] = (...given) =>
  scene.fixture.deps.bus.request(...given);

describe('F66: what somebody does to a device that changes hands meanwhile', () => {
  test.each([
    ['retire', retireDevices],
    ['block', blockDevices],
    ['reset', resetDevices],
    ['give up', unclaimDevices],
  ] as const)('a maker does not %s a device that an account claims at that moment', async (_, operation) => {
    const { fingerprint } = await scene.make('sold-1');
    scene.store.beforeUpdate = {
      of: 'bootstrap.devices',
      does: () => scene.claim(fingerprint, { account: 'buyer' }),
    };
    const { changed, failed } = await ask(operation, { ...ada, fingerprints: [fingerprint] });
    expect({ changed, failed }).toMatchObject({
      changed: [],
      failed: [{ code: 'unknown-device', message: `device: account "${ACCOUNT}" has no such device` }],
    });
    expect(await ask(getDevice, { account: 'buyer', deviceId: 'sold-1' })).toMatchObject({
      state: 'claimed',
    });
  });

  test('an owner does not retire a device that it gave up at that moment, and that another has under that name', async () => {
    const { fingerprint } = await scene.make('sold-2');
    await scene.claim(fingerprint);
    scene.store.beforeUpdate = {
      of: 'bootstrap.devices',
      async does() {
        await ask(unclaimDevices, { ...ada, fingerprints: [fingerprint] });
        await scene.claim(fingerprint, { account: 'buyer' });
      },
    };
    expect(await ask(retireDevices, { ...ada, deviceIds: ['sold-2'] })).toMatchObject({
      changed: [],
      failed: [{ device: 'sold-2', code: 'unknown-device' }],
    });
    expect(await ask(getDevice, { account: 'buyer', deviceId: 'sold-2' })).toMatchObject({
      state: 'claimed',
    });
  });

  test('a device that is given up during its handoff gets no bundle of its former owner', async () => {
    const { fingerprint, identity } = await scene.make('sold-3');
    await scene.claim(fingerprint);
    scene.store.beforeUpdate = {
      of: 'bootstrap.devices',
      async does() {
        await ask(unclaimDevices, { ...ada, fingerprints: [fingerprint] });
        await scene.claim(fingerprint, { account: 'buyer' });
      },
    };
    const { status, body } = await scene.bootstrap(identity);
    expect([status, body.account]).toEqual([200, 'buyer']);
  });
});

describe('claims', () => {
  test('F63: of two accounts that claim at once one gets the device, and the other is not told who', async () => {
    await scene.startReplica();
    for (let round = 0; round < 5; round++) {
      const { fingerprint } = await scene.make(`pump-${round}`);
      const accounts = ['acme', 'rival'];
      const outcomes = await Promise.allSettled(
        accounts.map((account) => scene.claim(fingerprint, { account })),
      );
      const lost = outcomes.filter((outcome) => outcome.status === 'rejected');
      expect(lost).toHaveLength(1);
      expect(lost[0]?.reason).toMatchObject({
        code: 'claimed-by-another',
        field: 'fingerprint',
        message: 'fingerprint: this device belongs to another account',
      });
    }
    expect(await scene.events('DEVICE_CLAIMED', 5)).toHaveLength(5);
  });

  test('a repeated claim gives the device again and is no second event', async () => {
    const { fingerprint } = await scene.make('pump-1');
    const first = await scene.claim(fingerprint);
    expect(await scene.claim(fingerprint)).toEqual(first);
    await ask(retireDevices, { ...ada, fingerprints: [fingerprint] });
    await scene.events('DEVICE_RETIRED', 1);
    expect(await scene.events('DEVICE_CLAIMED', 1)).toHaveLength(1);
  });

  test('two devices of one name: the second is claimed under another', async () => {
    const [one, two] = [await scene.make('pump-1'), await sameName('pump-1', 'SN-2')];
    await scene.claim(one.fingerprint);
    await expect(scene.claim(two)).rejects.toMatchObject({
      code: 'device-id-taken',
      message: 'deviceId: its device id is taken in this account; claim it under another',
    });
    expect(await scene.claim(two, { deviceId: 'pump-1b' })).toMatchObject({ deviceId: 'pump-1b' });
  });

  test('of a fingerprint that no factory made', async () => {
    await expect(scene.claim('0'.repeat(64))).rejects.toMatchObject({ code: 'unknown-device' });
  });

  test('F66: another account sees neither device nor existence', async () => {
    const { fingerprint } = await scene.make('pump-1');
    await scene.claim(fingerprint);
    const foreign = { ...ada, account: 'rival' };
    await expect(ask(getDevice, { account: 'rival', fingerprint })).rejects.toMatchObject({
      code: 'unknown-device',
    });
    await expect(ask(getDevice, { account: 'rival', deviceId: 'pump-1' })).rejects.toMatchObject({
      code: 'unknown-device',
    });
    const { changed, failed } = await ask(blockDevices, { ...foreign, fingerprints: [fingerprint] });
    expect(changed).toEqual([]);
    expect(failed).toEqual([
      { device: fingerprint, code: 'unknown-device', message: 'device: account "rival" has no such device' },
    ]);
    expect(await ask(getDevice, { account: ACCOUNT, fingerprint })).toMatchObject({ state: 'claimed' });
  });
});

describe('block, unblock, retire', () => {
  test('F73: one call retires a group of 300', { timeout: 60_000 }, async () => {
    for (let from = 0; from < 300; from += 100) {
      const items = Array.from({ length: 100 }, (_, i) => ({
        csr: csrOf(`pump-${from + i}`, generateKeyPair('P-256')),
      }));
      const { results } = await ask(factorySign, { account: ACCOUNT, items, by: 'factory' });
      await Promise.all(
        results.map((made) => scene.claim('error' in made ? '' : made.fingerprint, { group: 'hall-3' })),
      );
    }
    const other = await scene.make('office-1');
    await scene.claim(other.fingerprint, { group: 'office' });
    const { changed, failed } = await ask(retireDevices, { ...ada, group: 'hall-3' });
    expect([new Set(changed).size, failed]).toEqual([300, []]);
    const { items } = await ask(listDevices, { account: ACCOUNT, state: 'retired', limit: 1000 });
    expect(items).toHaveLength(300);
    expect(await ask(getDevice, { account: ACCOUNT, deviceId: 'office-1' })).toMatchObject({
      state: 'claimed',
    });
    expect(await scene.events('DEVICE_RETIRED', 300)).toHaveLength(300);
  });

  test('a command for a group changes the devices that are in it now, not those that were claimed into it', async () => {
    const [left, joined] = [await scene.make('pump-1'), await scene.make('pump-2')];
    await scene.claim(left.fingerprint, { group: 'hall-3' });
    await scene.claim(joined.fingerprint, { group: 'office' });
    scene.groups.set(`${ACCOUNT}/hall-3`, new Set(['pump-2']));
    expect(await ask(blockDevices, { ...ada, group: 'hall-3' })).toEqual({ changed: ['pump-2'], failed: [] });
    expect(await ask(getDevice, { account: ACCOUNT, deviceId: 'pump-1' })).toMatchObject({
      state: 'claimed',
    });
  });

  test('the group of a claim is in the claim’s own write, until it was read; one without a claim any more is said to be gone', async () => {
    const [one, two] = [await scene.make('pump-1'), await scene.make('pump-2')];
    await scene.claim(one.fingerprint, { group: 'hall-3' });
    await scene.claim(two.fingerprint, { group: 'hall-3' });
    const pending = async () => (await ask(listClaimedInto, { account: ACCOUNT, group: 'hall-3' })).items;
    const claims = await pending();
    expect(claims.map(({ deviceId }) => deviceId)).toEqual(['pump-1', 'pump-2']);
    await ask(unclaimDevices, { ...ada, deviceIds: ['pump-2'] });
    expect(await ask(settleClaimed, { account: ACCOUNT, claims })).toEqual({ gone: ['pump-2'] });
    expect(await pending()).toEqual([]);
    await expect(scene.claim(two.fingerprint, { group: 'hall 3' })).rejects.toMatchObject({
      code: 'invalid-input',
    });
  });

  test('a device that was claimed into a group that no command could name gets a name for it', async () => {
    const [{ document }] = deviceRecords.migrations;
    const device = { id: 'ab'.repeat(32), group: 'Halle 3 (Süd)' };
    const after = { ...device, group: 'Halle-3-Su-d-', groupState: 'pending' };
    expect([document(device), document(after), document({ ...device, group: 'hall-3' })]).toEqual([
      after,
      undefined,
      undefined,
    ]);
    expect([groupNameOf('/'), groupNameOf('_x'), groupNameOf('é'.repeat(99)).length]).toEqual([
      'unnamed',
      'x',
      64,
    ]);
  });

  test('a device that is named three ways is changed once', async () => {
    const { fingerprint } = await scene.make('pump-1');
    await scene.claim(fingerprint, { group: 'hall-3' });
    const selection = { group: 'hall-3', deviceIds: ['pump-1', 'nobody'], fingerprints: [fingerprint] };
    const { changed, failed } = await ask(blockDevices, { ...ada, ...selection });
    expect(changed).toEqual(['pump-1']);
    expect(failed).toMatchObject([{ device: 'nobody', code: 'unknown-device' }]);
    expect((await ask(unblockDevices, { ...ada, group: 'hall-3' })).changed).toEqual(['pump-1']);
    const { failed: again } = await ask(unblockDevices, { ...ada, group: 'hall-3' });
    expect(again).toEqual([
      {
        device: 'pump-1',
        code: 'illegal-transition',
        message: 'state: only a device that is "blocked" can be unblocked, this one is "claimed"',
      },
    ]);
  });

  test('a misspelt group and an empty selection are errors, not a success that did nothing', async () => {
    await expect(ask(retireDevices, { ...ada, group: 'hal-3' })).rejects.toMatchObject({
      code: 'unknown-device',
      message: 'group: account "acme" has no device in "hal-3"',
    });
    await expect(ask(retireDevices, ada)).rejects.toMatchObject({
      code: 'invalid-input',
      message: 'deviceIds: name devices, fingerprints or a group',
    });
  });
});

test('every code that a claim can fail with is one that its callers know', () => {
  expect([...claimErrorCodes].sort()).toEqual([...claimDevice.errors].sort());
  expect(claimErrorCodes.filter((code) => (commonCodes as readonly string[]).includes(code))).toEqual([]);
});

async function sameName(deviceId: string, deviceSerialNumber: string): Promise<string> {
  const items = [{ csr: csrOf(deviceId, generateKeyPair('P-256')), deviceSerialNumber }];
  const { results } = await ask(factorySign, { account: ACCOUNT, items, by: 'factory' });
  const [made] = results;
  if (made === undefined || 'error' in made) throw new Error('no certificate');
  return made.fingerprint;
}
