import {
  cancelRotation,
  getDeviceConfig,
  getDeviceKeys,
  listRotations,
  type OperationInput,
  revokeCertificates,
  setDeviceConfig,
} from '@signet/contracts';
import { encryptConfigValue } from '@signet/pki';
import { newTestKey, type TestIdentity } from '@signet/pki/testing';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ACCOUNT, type GatewayFixture, openGatewayFixture, publicKeyOf } from './support/gateway-fixture.ts';

const own = { account: ACCOUNT, deviceId: 'pump-1' };
const hour = 3_600_000;
let scene: GatewayFixture;
let clock: number;
let revoked: OperationInput<typeof revokeCertificates>[];
let first: TestIdentity;
let second: TestIdentity;
let third: TestIdentity;

beforeEach(async () => {
  clock = 0;
  revoked = [];
  scene = await openGatewayFixture({ now: () => Date.now() + clock });
  [first, second, third] = [operational(), operational(), operational()];
  await scene.bus.serve(revokeCertificates, async (input) => {
    revoked.push(input);
    return { revoked: input.serialNumber === undefined ? [] : [input.serialNumber] };
  });
  await scene.issued(first);
  await currentIs(first);
});
afterEach(() => scene[Symbol.asyncDispose]());

function operational(): TestIdentity {
  return scene.fixture.pki.operational(ACCOUNT, 'pump-1', { privateKey: newTestKey() });
}
const keys = () => scene.bus.request(getDeviceKeys, own);
const currentIs = (identity: TestIdentity) =>
  vi.waitFor(
    async () => expect((await keys()).current?.publicKeyHash).toBe(identity.certificate.publicKeyHash),
    5000,
  );
const device = (identity: TestIdentity) => scene.call(identity, { path: '/device' });
const confirm = (identity: TestIdentity, next: TestIdentity) =>
  scene.call(identity, { path: '/device', body: { next_pubkey: publicKeyOf(next) } });
const serial = ({ certificate }: TestIdentity) => certificate.serialNumber;
const post = (identity: TestIdentity, path = '/events') =>
  scene.call(identity, {
    ...{ method: 'POST', path },
    body: [
      {
        id: '0b0ed9ab-6d2c-4d5e-8b57-9d9f2d0e1a01',
        deviceTime: 'x',
        event: { correlationId: 'certs-1669676316', success: true },
        eventType: { id: 'CertRotationCompleted', version: 0 },
      },
    ],
  });
const denied = (identity: TestIdentity) =>
  scene.fixture.deny({
    kind: 'certificate',
    issuerKeyId: identity.certificate.authorityKeyId ?? '',
    serialNumber: serial(identity),
  });
const deniedBy = async (identity: TestIdentity) =>
  vi.waitFor(async () => expect((await device(identity)).status).toBe(403), 5000);

describe('rotations under way', () => {
  test('F38: a client that enrolled twice comes with either key; the certificates of the others are revoked, for broker and EST', async () => {
    await scene.announce(first, second, 1);
    await scene.announce(first, third, 2);
    expect(revoked).toEqual([]);
    expect((await device(second)).status).toBe(200);
    await vi.waitFor(() =>
      expect(revoked).toMatchObject([{ ...own, serialNumber: serial(third), reason: 'superseded' }]),
    );
    for (const other of [first, third]) expect((await device(other)).status).toBe(403);
  });

  test('PATCH /device confirms; the view names the rotation, since when it waits, and when it has stalled', async () => {
    await scene.announce(first, second);
    const list = (stalled = false) => scene.bus.request(listRotations, { account: ACCOUNT, stalled });
    const [announced] = (await list()).items;
    expect(announced).toMatchObject({
      ...{ deviceId: 'pump-1', rotationId: `key-${serial(second)}`, stalled: false },
      serialNumber: serial(second),
    });
    expect(announced?.confirmedAt).toBeUndefined();
    expect((await confirm(first, second)).status).toBe(200);
    expect((await confirm(first, second)).status).toBe(200);
    expect((await list()).items[0]?.confirmedAt).toBeDefined();
    expect((await list(true)).items).toEqual([]);
    clock = 25 * hour;
    expect((await list(true)).items).toMatchObject([{ deviceId: 'pump-1', stalled: true }]);
    clock = 0;
    await device(second);
    expect((await list()).items).toEqual([]);
  });

  const cancel = (how: { revoke?: boolean; force?: boolean } = {}) =>
    scene.bus.request(cancelRotation, { ...own, ...how, by: 'ada' });
  const noRotation = {
    code: 'no-rotation',
    message: 'deviceId: no rotation of "pump-1" is under way',
  };

  test('a client that saved its step goes on after its rotation was cancelled: config is unlocked, its announced key stays good', async () => {
    await scene.announce(first, second);
    expect((await confirm(first, second)).status).toBe(200);
    expect(await cancel()).toEqual({ rotationId: `key-${serial(second)}`, revoked: [] });
    const files = [{ name: 'a', value: '1', unencrypted: true }];
    expect(await scene.bus.request(setDeviceConfig, { ...own, files, by: 'ada' })).toEqual({ version: 1 });
    await expect(cancel()).rejects.toMatchObject(noRotation);
    expect((await confirm(first, second)).status).toBe(200);
    expect((await device(first)).status).toBe(200);
    expect((await device(second)).status).toBe(200);
    await currentIs(second);
    expect(revoked.map(({ serialNumber }) => serialNumber)).not.toContain(serial(second));
    expect((await device(first)).status).toBe(403);
  });

  test('the announced key is revoked on the operator’s word, and not once the device confirmed it, unless forced', async () => {
    await scene.announce(first, second);
    await cancel();
    expect(await cancel({ revoke: true })).toEqual({
      rotationId: `key-${serial(second)}`,
      revoked: [serial(second)],
    });
    await vi.waitFor(() => expect(revoked).toMatchObject([{ serialNumber: serial(second) }]));
    expect((await device(second)).status).toBe(403);
    expect((await device(first)).status).toBe(200);

    expect(await scene.announce(first, third, 3)).toBeUndefined();
    await confirm(first, third);
    await expect(cancel({ revoke: true })).rejects.toMatchObject({
      code: 'rotation-confirmed',
      field: 'revoke',
    });
    expect((await keys()).next?.serialNumber).toBe(serial(third));
    expect(await cancel({ revoke: true, force: true })).toMatchObject({ revoked: [serial(third)] });
    await vi.waitFor(() => expect(revoked.map((input) => input.serialNumber)).toContain(serial(third)));
    await expect(cancel({ revoke: true })).rejects.toMatchObject(noRotation);
  });

  test('F36: each key reads the values that are encrypted to it, until the announced one is seen or dropped', async () => {
    const sealed = (to: TestIdentity) => encryptConfigValue(to.certificate.spkiDer, Buffer.from('wifi'));
    const [old, next] = [sealed(first), sealed(second)];
    const files = [{ name: 'wifi', value: old }];
    await scene.bus.request(setDeviceConfig, { ...own, files, by: 'ada' });
    await scene.announce(first, second, 1);
    const body = { reason: '', files: [{ name: 'wifi', value: next }], 'public-key': publicKeyOf(second) };
    expect((await scene.call(first, { path: '/config', body })).status).toBe(201);
    const value = async (identity: TestIdentity, path: string) =>
      JSON.parse((await scene.call(identity, { path })).body).wifi?.Value;
    const isOld = async () =>
      expect([await value(first, '/config'), await value(first, '/config-device')]).toEqual([old, old]);
    await isOld();
    await scene.announce(first, third, 2);
    await isOld();
    await cancel({ revoke: true });
    await isOld();
    expect((await scene.bus.request(getDeviceConfig, own)).files).toMatchObject([{ value: old }]);
  });

  test('F36: values for a key whose rotation was cancelled are read when the device comes with it, but for what an operator wrote since', async () => {
    const sealed = (to: TestIdentity, text: string) =>
      encryptConfigValue(to.certificate.spkiDer, Buffer.from(text));
    const pair = (to: TestIdentity) => [
      { name: 'wifi', value: sealed(to, 'wifi') },
      { name: 'vpn', value: sealed(to, 'vpn') },
    ];
    const [before, after] = [pair(first), pair(second)];
    await scene.bus.request(setDeviceConfig, { ...own, files: before, by: 'ada' });
    await scene.announce(first, second, 1);
    const body = { reason: '', files: after, 'public-key': publicKeyOf(second) };
    await scene.call(first, { path: '/config', body });
    await cancel();
    const written = { name: 'vpn', value: 'off', unencrypted: true };
    await scene.bus.request(setDeviceConfig, { ...own, files: [written], by: 'ada' });
    const read = async () => {
      const { wifi, vpn } = JSON.parse((await scene.call(second, { path: '/config' })).body);
      return [wifi.Value, vpn.Value];
    };
    expect(await read()).toEqual([after[0]?.value, 'off']);
    await vi.waitFor(async () =>
      expect((await scene.bus.request(getDeviceConfig, own)).files).toMatchObject([
        { name: 'wifi', value: after[0]?.value },
        { name: 'vpn', value: 'off' },
      ]),
    );
    expect(await read()).toEqual([after[0]?.value, 'off']);
  });

  test('F36: values for the next key stay with it when it is promoted', async () => {
    const next = encryptConfigValue(second.certificate.spkiDer, Buffer.from('wifi'));
    await scene.announce(first, second);
    const body = { reason: '', files: [{ name: 'wifi', value: next }], 'public-key': publicKeyOf(second) };
    await scene.call(first, { path: '/config', body });
    await device(second);
    await currentIs(second);
    await scene.announce(second, third, 5);
    await scene.bus.request(cancelRotation, { ...own, by: 'ada' });
    const { body: config } = await scene.call(second, { path: '/config' });
    expect(JSON.parse(config).wifi.Value).toBe(next);
  });

  test('F35: what holds a config is told with it', async () => {
    await scene.announce(first, second);
    expect(await scene.bus.request(getDeviceConfig, own)).toMatchObject({
      rotationId: `key-${serial(second)}`,
    });
  });

  test('F37: after the promotion GET /config answers 200 once, whatever time the client sends', async () => {
    const files = [{ name: 'a', value: '1', unencrypted: true }];
    await scene.bus.request(setDeviceConfig, { ...own, files, by: 'ada' });
    await scene.call(first, { path: '/config' });
    await scene.announce(first, second);
    await device(second);
    await currentIs(second);
    const late = new Date(Date.now() + 500).toUTCString();
    const ask = () => scene.call(second, { path: '/config', headers: { 'If-Modified-Since': late } });
    const answer = await ask();
    expect(answer.status).toBe(200);
    const again = { 'If-Modified-Since': String(answer.headers.date) };
    expect((await scene.call(second, { path: '/config', headers: again })).status).toBe(304);
  });
});

describe('F39: the certificate before, once it is denied as superseded', () => {
  beforeEach(async () => {
    await scene.announce(first, second);
    await device(second);
    await currentIs(second);
    await denied(first);
    await deniedBy(first);
  });

  test('may say for ten minutes how the rotation went, and nothing else', async () => {
    const answer = await post(first);
    expect([answer.status, answer.headers.connection]).toEqual([200, 'close']);
    for (const path of ['/config', '/device', '/config-device'])
      expect((await scene.call(first, { path })).status).toBe(403);
    expect((await post(first, '/events?x')).status).toBe(403);
    clock = 11 * 60_000;
    expect((await post(first)).status).toBe(403);
  });

  test('not where it was revoked for another reason, nor where its device is denied', async () => {
    await scene.fixture.deny({ kind: 'device', ...own });
    await vi.waitFor(async () => expect((await post(first)).status).toBe(403), 5000);
  });

  test('not where its key was compromised', async () => {
    await scene.revoked(first, 'keyCompromise');
    await vi.waitFor(async () => expect((await post(first)).status).toBe(403), 5000);
  });
});

test('an announced key that another won over has no grace', async () => {
  await scene.announce(first, second, 1);
  await scene.announce(first, third, 2);
  await device(third);
  await denied(second);
  await deniedBy(second);
  expect((await post(second)).status).toBe(403);
});
