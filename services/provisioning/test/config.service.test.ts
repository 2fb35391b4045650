import { createPublicKey } from 'node:crypto';
import {
  changeGroup,
  createGroup,
  deleteDeviceConfig,
  getConfigLog,
  getDeviceConfig,
  getDeviceLabels,
  identifyDevices,
  labelDevice,
  listGroupDevices,
  listGroups,
  newEvent,
  type OperationInput,
  removeGroup,
  setDeviceConfig,
} from '@signet/contracts';
import { encryptConfigValue } from '@signet/pki';
import { newTestKey, type TestIdentity } from '@signet/pki/testing';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ACCOUNT, type GatewayFixture, openGatewayFixture, publicKeyOf } from './support/gateway-fixture.ts';

let scene: GatewayFixture;
let pump: TestIdentity;
const deviceId = 'pump-1';
const own = { account: ACCOUNT, deviceId };
/** Devices that are another's from the second question on, for one question; and what is done at the next question. */
const soldOnce = new Set<string>();
const sold = new Set<string>();
let whenAsked: (() => Promise<unknown>) | undefined;

beforeEach(async () => {
  scene = await openGatewayFixture({ identifies: true });
  pump = scene.fixture.pki.operational(ACCOUNT, deviceId, { privateKey: newTestKey() });
  soldOnce.clear();
  sold.clear();
  whenAsked = undefined;
  await scene.bus.serve(identifyDevices, async ({ account, deviceIds }) => {
    await whenAsked?.();
    const known = deviceIds.filter((id) => account === ACCOUNT && id.startsWith('pump-') && !sold.delete(id));
    for (const id of known) if (soldOnce.delete(id)) sold.add(id);
    return {
      devices: known.map((id) => ({
        deviceId: id,
        fingerprint: 'ab'.repeat(32),
        account: ACCOUNT,
        factoryAccount: ACCOUNT,
      })),
    };
  });
});
afterEach(() => scene[Symbol.asyncDispose]());

const plain = (name: string, value: string) => ({ name, value, unencrypted: true });
type Layer = { group?: string; deviceId?: string };
const set = (layer: Layer, files: OperationInput<typeof setDeviceConfig>['files']) =>
  scene.bus.request(setDeviceConfig, { account: ACCOUNT, ...layer, files, reason: 'test', by: 'ada' });
const group = (name: string, labels?: string) =>
  scene.bus.request(createGroup, {
    ...{ account: ACCOUNT, group: name, by: 'ada' },
    ...(labels === undefined ? {} : { labels }),
  });
const members = (name: string, change: { add?: string[]; remove?: string[] }) =>
  scene.bus.request(changeGroup, { account: ACCOUNT, group: name, ...change, by: 'ada' });
const inGroup = async (name: string) =>
  (await scene.bus.request(listGroupDevices, { account: ACCOUNT, group: name })).items.map(
    (item) => item.deviceId,
  );
const label = (device: string, labels: Record<string, string>, remove: string[] = []) =>
  scene.bus.request(labelDevice, { account: ACCOUNT, deviceId: device, set: labels, remove, by: 'ada' });
const read = async (headers: Record<string, string> = {}) => {
  const answer = await scene.call(pump, { path: '/config', headers });
  return {
    ...answer,
    files: answer.status === 200 ? (JSON.parse(answer.body) as Record<string, { Value: string }>) : {},
  };
};
const sealKey = newTestKey();
const sealedOf = (length: number) =>
  encryptConfigValue(
    createPublicKey(sealKey).export({ format: 'der', type: 'spki' }),
    Buffer.alloc(length, 'x'),
  );
const values = async () =>
  Object.fromEntries(Object.entries((await read()).files).map(([name, { Value }]) => [name, Value]));

describe('layers', () => {
  test('account < group < device, file by file; the device’s own layer alone at /config-device', async () => {
    await group('hall-3');
    await members('hall-3', { add: [deviceId] });
    await set({}, [plain('a', 'account'), plain('b', 'account'), plain('c', 'account')]);
    await set({ group: 'hall-3' }, [plain('b', 'group'), plain('c', 'group')]);
    await set({ deviceId }, [plain('c', 'device')]);
    expect(await values()).toEqual({ a: 'account', b: 'group', c: 'device' });
    const device = await scene.call(pump, { path: '/config-device' });
    expect(Object.keys(JSON.parse(device.body))).toEqual(['c']);
    const { effective } = await scene.bus.request(getDeviceConfig, own);
    expect(effective?.map((file) => [file.name, file.layer])).toEqual([
      ['a', 'account'],
      ['b', 'group hall-3'],
      ['c', 'device'],
    ]);
  });

  test('a change of a group is a new version for each of its devices, which they see by its time and are told of', async () => {
    await group('hall-3');
    await members('hall-3', { add: [deviceId, 'pump-2'] });
    await set({ deviceId }, [plain('c', 'device')]);
    const first = await read();
    const notices: string[] = [];
    await using _notices = await scene.bus.listen('signet.mqtt.acme.pump-1.down.config', ({ payload }) => {
      notices.push(Buffer.from(payload).toString());
    });
    await set({ group: 'hall-3' }, [plain('b', 'group')]);
    await vi.waitFor(async () => {
      const again = await read({ 'If-Modified-Since': String(first.headers.date) });
      expect(again.files).toMatchObject({ b: { Value: 'group' } });
    }, 5000);
    await vi.waitFor(() => expect(notices).toContain('{"version":2}'), 5000);
    const events = await scene.events('DEVICE_CONFIG_CHANGED', 3);
    expect(events.map(({ subject, data }) => [subject, data.version]).sort()).toEqual([
      ['pump-1', 1],
      ['pump-1', 2],
      ['pump-2', 1],
    ]);
  });

  test('two changes within one second have two times: no poll misses the second', async () => {
    await set({ deviceId }, [plain('a', '1')]);
    const first = await read();
    await set({ deviceId }, [plain('a', '2')]);
    const second = await read({ 'If-Modified-Since': String(first.headers.date) });
    expect(second.files).toMatchObject({ a: { Value: '2' } });
    expect((await read({ 'If-Modified-Since': String(second.headers.date) })).status).toBe(304);
  });

  test('a device that leaves a group loses its files; one that reads nothing any more is told so by an empty config', async () => {
    await group('hall-3');
    await members('hall-3', { add: [deviceId] });
    await set({ group: 'hall-3' }, [plain('b', 'group')]);
    await vi.waitFor(async () => expect((await values()).b).toBe('group'), 5000);
    const before = await read();
    await members('hall-3', { remove: [deviceId] });
    const after = await read({ 'If-Modified-Since': String(before.headers.date) });
    expect([after.status, after.body]).toEqual([200, '{}']);
  });

  test('the log names who changed what, newest first, and no value', async () => {
    await set({ deviceId }, [plain('a', 'secret')]);
    await scene.bus.request(deleteDeviceConfig, { ...own, names: ['a'], reason: 'old', by: 'bob' });
    const { items } = await scene.bus.request(getConfigLog, own);
    expect(items).toMatchObject([
      { version: 2, by: 'bob', set: [], removed: ['a'], reason: 'old', layer: 'device' },
      { version: 1, by: 'ada', set: ['a'], removed: [], layer: 'device' },
    ]);
    expect(JSON.stringify(items)).not.toContain('secret');
  });

  test('values for a key are stored as they came, and refused where several devices read them, or in the clear by mistake', async () => {
    const sealed = encryptConfigValue(pump.certificate.spkiDer, Buffer.from('wifi password'));
    await set({ deviceId }, [{ name: 'wifi', value: sealed }]);
    expect((await read()).files).toEqual({ wifi: { Value: sealed, Unencrypted: false } });
    await expect(set({ deviceId }, [{ name: 'wifi', value: 'wifi password' }])).rejects.toMatchObject({
      code: 'not-encrypted',
      message: 'files: "wifi" is neither marked unencrypted nor encrypted to a device\'s key',
    });
    await expect(set({}, [{ name: 'wifi', value: sealed }])).rejects.toMatchObject({
      code: 'shared-layer',
      message: 'files: "wifi" is for one key, and several devices read it',
    });
  });
});

test('a file below folders is written, and content of 64 KB whether encrypted or not', async () => {
  const files = [
    { name: 'net/wifi.conf', value: sealedOf(65_536) },
    plain('net/eth.conf', 'é'.repeat(32_768)),
  ];
  await set({ deviceId }, files);
  expect(Object.keys((await read()).files)).toEqual(['net/wifi.conf', 'net/eth.conf']);
  const body = { reason: '', files };
  expect((await scene.call(pump, { path: '/config', body })).status).toBe(201);
});

describe('bad input', () => {
  const name = 'é'.repeat(128);
  test.each([
    ['an absolute path', [plain('/etc/passwd', '')], 'files.0.name'],
    ['an empty folder name', [plain('a//b', '')], 'files.0.name'],
    ['a folder', [plain('a/', '')], 'files.0.name'],
    ['".."', [plain('..', '')], 'files.0.name'],
    ['".." amid a path', [plain('a/../../b', '')], 'files.0.name'],
    ['a NUL', [plain('a\0b', '')], 'files.0.name'],
    ['256 bytes', [plain(name, '')], 'files.0.name'],
    ['content of 64 KB and one byte', [plain('a', 'x'.repeat(65_537))], 'files.0.value'],
    ['encrypted content of 64 KB and one byte', [{ name: 'a', value: sealedOf(65_537) }], 'files.0.value'],
    ['plain text that is not marked so', [{ name: 'a', value: 'wifi password' }], 'files'],
    ['a file that is a folder too', [plain('a', ''), plain('a/b', '')], 'files'],
    ['more than 100 files', Array.from({ length: 101 }, (_, i) => plain(`f${i}`, '')), 'files'],
    ['no file', [], 'files'],
  ])('of a device and of an operator: %s', async (_, files, field) => {
    await expect(set({ deviceId }, files)).rejects.toMatchObject({
      code: expect.stringMatching(/^(invalid-input|not-encrypted)$/),
      field,
    });
    const answer = await scene.call(pump, { path: '/config', body: { reason: '', files } });
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([400, { code: 'invalid-input', field }]);
  });

  test('files that come one after the other are bounded anyway, and a name stands once', async () => {
    const hundred = Array.from({ length: 100 }, (_, i) => plain(`f${i}`, 'x'));
    await set({ deviceId }, hundred);
    await expect(set({ deviceId }, [plain('one more', 'x')])).rejects.toMatchObject({
      code: 'too-many-files',
      message: 'files: 101 in one layer, at most 100',
    });
    const body = { reason: '', files: [plain('one more', 'x')] };
    const answer = await scene.call(pump, { path: '/config', body });
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([400, { field: 'files' }]);
    await expect(set({ deviceId }, [plain('f1', ''), plain('f1', '')])).rejects.toMatchObject({
      code: 'invalid-input',
      message: 'files: a name is in it twice',
    });
  });

  test('a hundred files of 64 KB are taken in one request', async () => {
    const files = Array.from({ length: 100 }, (_, i) => plain(`f${i}`, 'x'.repeat(65_536)));
    expect((await scene.call(pump, { path: '/config', body: { files } })).status).toBe(201);
    expect(Object.keys((await read()).files)).toHaveLength(100);
  });

  test('If-Modified-Since in the future, or no date at all, hides nothing', async () => {
    await set({ deviceId }, [plain('a', '1')]);
    for (const since of ['Fri, 01 Jan 2100 00:00:00 GMT', 'yesterday', '', '-1'])
      expect((await read({ 'If-Modified-Since': since })).status).toBe(200);
  });

  test('values for a key that is none of the device’s are refused by its field', async () => {
    await scene.issued(pump);
    await vi.waitFor(async () => {
      const other = scene.fixture.pki.operational(ACCOUNT, 'pump-2', { privateKey: newTestKey() });
      const body = { files: [plain('a', '1')], 'public-key': publicKeyOf(other) };
      const answer = await scene.call(pump, { path: '/config', body });
      expect([answer.status, JSON.parse(answer.body)]).toMatchObject([409, { field: 'public-key' }]);
    });
    const mine = { files: [plain('a', '1')], 'public-key': publicKeyOf(pump) };
    expect((await scene.call(pump, { path: '/config', body: mine })).status).toBe(201);
  });

  test('config of a device that nobody has is refused, and nothing is kept under its name', async () => {
    await expect(set({ deviceId: 'pmup-1' }, [plain('a', '1')])).rejects.toMatchObject({
      code: 'unknown-device',
      message: 'deviceId: account "acme" has no device pmup-1',
    });
    const layer = { account: ACCOUNT, deviceId: 'pmup-1' };
    expect(await scene.bus.request(getDeviceConfig, layer)).toMatchObject({ version: 0, files: [] });
  });

  test('config of a device that changes hands while it is written is not left for the next owner', async () => {
    soldOnce.add('pump-7');
    await expect(set({ deviceId: 'pump-7' }, [plain('a', '1')])).rejects.toMatchObject({
      code: 'unknown-device',
    });
    const layer = { account: ACCOUNT, deviceId: 'pump-7' };
    expect(await scene.bus.request(getDeviceConfig, layer)).toMatchObject({ files: [] });
  });

  test('a file and a group that are not there are named', async () => {
    await set({ deviceId }, [plain('a', '1')]);
    const gone = scene.bus.request(deleteDeviceConfig, { ...own, names: ['b'], by: 'ada' });
    await expect(gone).rejects.toMatchObject({
      code: 'unknown-file',
      message: 'names: the layer has no file "b"',
    });
    await expect(set({ group: 'nowhere' }, [plain('a', '1')])).rejects.toMatchObject({
      code: 'unknown-group',
      message: 'group: account "acme" has no group "nowhere"',
    });
  });
});

describe('groups', () => {
  test('by labels: whatever device the query fits is in it, as labels and groups come and go', async () => {
    await label('pump-1', { site: 'hall-3', tier: 'test' });
    await group('hall-3', 'site=hall-3,tier!=test');
    await group('labelled', 'tier,!scrapped');
    await vi.waitFor(async () => expect(await inGroup('labelled')).toEqual(['pump-1']), 5000);
    expect(await inGroup('hall-3')).toEqual([]);
    expect(await label('pump-1', { tier: 'live' })).toEqual({
      labels: { site: 'hall-3', tier: 'live' },
      groups: ['hall-3', 'labelled'],
    });
    expect((await label('pump-1', { scrapped: '' }, ['site'])).groups).toEqual([]);
  });

  test('whoever asks for a group straight after a claim finds all that was claimed into it', async () => {
    const claimedAt = new Date().toISOString();
    const ids = Array.from({ length: 300 }, (_, i) => `pump-${i}`);
    scene.claims.push(...ids.map((id) => ({ deviceId: id, group: 'hall-9', claimedAt })));
    const asked = await scene.bus.request(listGroupDevices, {
      account: ACCOUNT,
      group: 'hall-9',
      limit: 1000,
    });
    expect(asked.items.map((item) => item.deviceId).toSorted()).toEqual(ids.toSorted());
    expect(scene.claims).toEqual([]);
    scene.claims.push({ deviceId: 'pump-301', group: 'hall-8', claimedAt });
    expect((await members('hall-8', { remove: ['pump-301'] })).removed).toEqual(['pump-301']);
    expect(await inGroup('hall-8')).toEqual([]);
  });

  test('a group that a claim names is made, and the device in it; a retired device is in none', async () => {
    const facts = { deviceId, fingerprint: 'ab'.repeat(32), deviceSerialNumber: 'SN-1', by: 'ada' };
    const tell = { account: ACCOUNT, subject: deviceId, time: Date.now() };
    await scene.bus.publish([newEvent('DEVICE_CLAIMED', { ...tell, data: { ...facts, group: 'hall-4' } })]);
    await vi.waitFor(async () => expect(await inGroup('hall-4')).toEqual([deviceId]), 5000);
    await scene.bus.publish([
      newEvent('DEVICE_RETIRED', {
        ...tell,
        time: Date.now(),
        data: { ...facts, reason: 'scrapped', account: ACCOUNT },
      }),
    ]);
    await vi.waitFor(async () => expect(await inGroup('hall-4')).toEqual([]), 5000);
  });

  test('a device that is mistyped is named; membership by labels is not changed by hand', async () => {
    await group('hall-3');
    await group('labelled', 'tier');
    await expect(members('hall-3', { add: ['pump-1', 'pmup-2'] })).rejects.toMatchObject({
      code: 'unknown-device',
      message: 'deviceId: account "acme" has no device pmup-2',
    });
    expect(await inGroup('hall-3')).toEqual([]);
    await expect(members('labelled', { add: ['pump-1'] })).rejects.toMatchObject({ code: 'group-by-labels' });
    await expect(group('hall-3')).rejects.toMatchObject({ code: 'group-exists' });
    await expect(group('x', 'site=hall 3')).rejects.toMatchObject({ code: 'invalid-input', field: 'labels' });
  });

  test('a group that is removed is left by its devices, and its config with it', async () => {
    await group('hall-3');
    expect(await members('hall-3', { add: ['pump-1', 'pump-2'] })).toEqual({
      added: ['pump-1', 'pump-2'],
      removed: [],
    });
    expect(await members('hall-3', { add: ['pump-1'] })).toEqual({ added: [], removed: [] });
    await set({ group: 'hall-3' }, [plain('b', 'group')]);
    await vi.waitFor(async () => expect((await values()).b).toBe('group'), 5000);
    await scene.bus.request(removeGroup, { account: ACCOUNT, group: 'hall-3', by: 'ada' });
    expect((await scene.bus.request(listGroups, { account: ACCOUNT })).items).toEqual([]);
    await vi.waitFor(async () => expect(await values()).toEqual({}), 5000);
    expect(await scene.bus.request(getDeviceLabels, own)).toEqual({ labels: {}, groups: [] });
  });

  test('a group that is removed while a device is put into it has no member, and none when it is made again', async () => {
    await group('hall-3');
    whenAsked = async () => {
      whenAsked = undefined;
      await scene.bus.request(removeGroup, { account: ACCOUNT, group: 'hall-3', by: 'ada' });
      await scene.events('GROUP_CHANGED', 2);
    };
    await expect(members('hall-3', { add: ['pump-1'] })).rejects.toMatchObject({ code: 'unknown-group' });
    await group('hall-3');
    expect(await inGroup('hall-3')).toEqual([]);
  });

  test('a device that changes hands while it is put into a group, or labelled, is in none', async () => {
    await group('hall-3');
    await group('labelled', 'tier');
    for (const change of [
      () => members('hall-3', { add: ['pump-7'] }),
      () => label('pump-7', { tier: 'one' }),
    ]) {
      soldOnce.add('pump-7');
      await expect(change()).rejects.toMatchObject({ code: 'unknown-device' });
    }
    expect([await inGroup('hall-3'), await inGroup('labelled')]).toEqual([[], []]);
    const about = { account: ACCOUNT, deviceId: 'pump-7' };
    expect(await scene.bus.request(getDeviceLabels, about)).toEqual({ labels: {}, groups: [] });
  });
});
