import { checkMqttCredentials, createMqttCredentials } from '@signet/contracts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mqttCredentials } from '../src/collections.ts';
import { ACCOUNT, type GatewayFixture, openGatewayFixture } from './support/gateway-fixture.ts';

let scene: GatewayFixture;
beforeEach(async () => {
  scene = await openGatewayFixture();
});
afterEach(() => scene[Symbol.asyncDispose]());

const create = (deviceId = 'pump-1') =>
  scene.bus.request(createMqttCredentials, { account: ACCOUNT, deviceId });
const check = (given: { username: string; password: string }, deviceId = 'pump-1') =>
  scene.bus.request(checkMqttCredentials, { account: ACCOUNT, deviceId, ...given });
const refused = { code: 'wrong-password', message: 'username: wrong user name or password for "pump-1"' };

test('F21: MQTT credentials are random, another pair for each device and each handoff, and only their hash is kept', async () => {
  const made = await Promise.all([create('pump-1'), create('pump-2'), create('pump-1')]);
  expect(new Set(made.map(({ username }) => username)).size).toBe(3);
  expect(new Set(made.map(({ password }) => password)).size).toBe(3);
  for (const { password } of made) expect(Buffer.from(password, 'base64url')).toHaveLength(32);
  const kept = await (await scene.fixture.deps.store.collection(mqttCredentials)).find();
  for (const { password } of made) expect(JSON.stringify(kept.items)).not.toContain(password);
});

test('F21: right credentials pass; those of another device, a wrong user name and a wrong password do not', async () => {
  const mine = await create();
  const other = await create('pump-2');
  expect(await check(mine)).toEqual({});
  for (const wrong of [
    other,
    { ...mine, password: other.password },
    { ...mine, username: other.username },
    { ...mine, password: '' },
  ])
    await expect(check(wrong)).rejects.toMatchObject(refused);
  await expect(check(mine, 'pump-3')).rejects.toMatchObject({ code: 'wrong-password' });
});

test('F13: credentials of a handoff whose answer was lost lock nobody out; those of earlier ones end when later ones are used', async () => {
  const [first, lost, last] = [await create(), await create(), await create()];
  expect(await check(first)).toEqual({});
  expect(await check(last)).toEqual({});
  await expect(check(first)).rejects.toMatchObject(refused);
  await expect(check(lost)).rejects.toMatchObject(refused);
  expect(await check(last)).toEqual({});
});
