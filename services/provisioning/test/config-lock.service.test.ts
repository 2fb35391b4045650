import { type OperationError, setDeviceConfig } from '@signet/contracts';
import { newTestKey, type TestIdentity } from '@signet/pki/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openCollections } from '../src/collections.ts';
import { writeUnlocked } from '../src/domain/config/config-lock.ts';
import { changeOwn } from '../src/domain/config/device-config.ts';
import { announceKey } from '../src/domain/rotation/device-keys.ts';
import { ACCOUNT, type GatewayFixture, openGatewayFixture, publicKeyOf } from './support/gateway-fixture.ts';

const device = { account: ACCOUNT, deviceId: 'pump-1' };

let scene: GatewayFixture;
let first: TestIdentity;
let second: TestIdentity;

beforeEach(async () => {
  scene = await openGatewayFixture();
  const { pki } = scene.fixture;
  first = pki.operational(ACCOUNT, device.deviceId);
  second = pki.operational(ACCOUNT, device.deviceId, { privateKey: newTestKey() });
  await scene.issued(first);
});
afterEach(() => scene[Symbol.asyncDispose]());

const file = (value: string) => ({ name: 'wifi.conf', value, unencrypted: true });

/** Collections in which a rotation is announced right after a write has found that the device has none. */
async function overtaken() {
  const collections = await openCollections(scene.fixture.deps.store);
  const ctx = { ...collections, now: Date.now };
  let isAnnounced = false;
  const rings: typeof collections.rings = Object.assign(Object.create(collections.rings), {
    async get(id: string) {
      const ring = await collections.rings.get(id);
      const isStored = (await collections.configs.get(id)) !== undefined;
      if (!isAnnounced && isStored) {
        isAnnounced = true;
        const { publicKeyHash, serialNumber } = second.certificate;
        await announceKey(ctx, {
          ...device,
          currentPublicKeyHash: first.certificate.publicKeyHash,
          next: {
            ...{ publicKey: publicKeyOf(second), publicKeyHash, serialNumber },
            since: new Date().toISOString(),
          },
        });
      }
      return ring;
    },
  });
  return { ...ctx, rings };
}
const change = () => ({ set: [file('new')], by: 'ada', reason: '', now: Date.now() });

test('F35: a write that a rotation overtakes is rejected, and the config is as the device read it', async () => {
  await scene.bus.request(setDeviceConfig, { ...device, files: [file('old')], by: 'ada' });
  const before = await (await openCollections(scene.fixture.deps.store)).configs.get('acme/pump-1');
  const ctx = await overtaken();
  const write = writeUnlocked(ctx, device, (config) => changeOwn(config, change()));
  await expect(write).rejects.toMatchObject({ code: 'rotation-in-progress' });
  const after = await ctx.configs.get('acme/pump-1');
  expect([after?.version, after?.files, after?.log]).toEqual([before?.version, before?.files, before?.log]);
});

test('F35: so is the first write of a device that has no config yet, and its polls show nothing new', async () => {
  const ctx = await overtaken();
  const write = writeUnlocked(ctx, device, (config) => changeOwn(config, change()));
  await expect(write).rejects.toMatchObject({ code: 'rotation-in-progress' });
  expect(await ctx.configs.get('acme/pump-1')).toMatchObject({ version: 0, files: [], log: [] });
  expect((await scene.call(first, { path: '/config' })).status).toBe(204);
});

test('F35: the lock ends with the rotation, and the next write goes through', async () => {
  await scene.bus.request(setDeviceConfig, { ...device, files: [file('old')], by: 'ada' });
  expect(await scene.announce(first, second)).toBeUndefined();
  const set = () => scene.bus.request(setDeviceConfig, { ...device, files: [file('new')], by: 'ada' });
  const rejected = await set().catch((error: OperationError) => error);
  expect(rejected).toMatchObject({ code: 'rotation-in-progress' });
  expect((await scene.call(second, { path: '/config' })).status).toBe(200);
  expect(await set()).toMatchObject({ version: 2 });
});
