import { getDeviceConfig, listUpdateEvents, listUpdates, setDeviceConfig } from '@signet/contracts';
import { newTestKey, type TestIdentity } from '@signet/pki/testing';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ACCOUNT, type GatewayFixture, openGatewayFixture } from './support/gateway-fixture.ts';

let scene: GatewayFixture;
let pump: TestIdentity;
const own = { account: ACCOUNT, deviceId: 'pump-1' };
const rotation = 'certs-1669676316';

beforeEach(async () => {
  scene = await openGatewayFixture();
  pump = operational();
});
afterEach(() => scene[Symbol.asyncDispose]());

function operational(deviceId = 'pump-1'): TestIdentity {
  return scene.fixture.pki.operational(ACCOUNT, deviceId, { privateKey: newTestKey() });
}
const idOf = (n: number) => `0b0ed9ab-6d2c-4d5e-8b57-${String(n).padStart(12, '0')}`;
const report = (n: number, step: string, more: object = {}) => ({
  id: idOf(n),
  deviceTime: '1970-01-01T00:00:07Z',
  event: { correlationId: rotation, targetName: 'renewal', version: '12', ...more },
  eventType: { id: step, version: 0 },
});
const post = (body: unknown, identity = pump) =>
  scene.call(identity, { method: 'POST', path: '/events', body });
const listed = async () => (await scene.bus.request(listUpdates, own)).items;
const told = async (updateId = rotation) =>
  (await scene.bus.request(listUpdateEvents, { ...own, updateId })).items;

describe('update events', () => {
  test('F40: the steps of a rotation are listed, and inspected by its certs-… id, in the order in which they came', async () => {
    const steps = ['CertRotationStarted', 'Generate new certificate', 'CertRotationCompleted'];
    await post([report(1, 'CertRotationStarted'), report(2, 'Generate new certificate', { success: true })]);
    await post([report(3, 'CertRotationCompleted', { success: false, details: 'no space' })]);
    await post([report(4, 'EcuDownloadStarted', { correlationId: 'update-7' })]);
    expect((await listed()).map(({ updateId }) => updateId).toSorted()).toEqual([rotation, 'update-7']);
    expect((await told()).map(({ event, success }) => [event, success])).toEqual([
      [steps[0], undefined],
      [steps[1], true],
      [steps[2], false],
    ]);
    expect((await listed()).find(({ updateId }) => updateId === rotation)).toMatchObject({
      target: 'renewal',
      version: '12',
      lastEvent: 'CertRotationCompleted',
      success: false,
    });
  });

  test('F40: steps of a rotation are events whatever its id begins with', async () => {
    const mine = { correlationId: 'my-own-4711' };
    await post([report(1, 'CertRotationStarted', mine), report(2, 'EcuDownloadStarted', mine)]);
    await post([report(3, 'Generate new certificate', { ...mine, success: true })]);
    const events = await scene.events('DEVICE_ROTATION_STEP', 2);
    expect(events.map(({ data }) => [data.rotationId, data.step])).toEqual([
      ['my-own-4711', 'CertRotationStarted'],
      ['my-own-4711', 'Generate new certificate'],
    ]);
  });

  test('F40: a rotation of which a step failed does not end with “Completed -> Succeed”, which the client says of each', async () => {
    const [step, completed] = ['Generate new certificate', 'CertRotationCompleted'];
    await post([report(1, 'CertRotationStarted', { success: true })]);
    await post([report(2, step, { success: false, details: 'EST: 503' })]);
    await post([report(3, completed, { success: true, details: '' })]);
    expect((await told()).at(-1)).toMatchObject({
      ...{ event: completed, success: false },
      details: 'reported as a success, but "Generate new certificate" had failed',
    });
    expect(await listed()).toMatchObject([{ lastEvent: completed, success: false }]);
    expect(Object.keys((await listed())[0] ?? {})).not.toContain('failedStep');
    // the device goes on from its saved step, and this time all is well
    await post([report(4, 'CertRotationStarted', { success: true }), report(5, step, { success: true })]);
    await post([report(6, completed, { success: true })]);
    expect(await listed()).toMatchObject([{ lastEvent: completed, success: true }]);
    const events = await scene.events('DEVICE_ROTATION_STEP', 6);
    expect(events.map(({ data }) => data.success)).toEqual([true, false, false, true, true, true]);
  });

  test('good events are kept whatever stands beside them, and the broken ones named in a 207', async () => {
    const answer = await post([report(1, 'A'), { ...report(2, 'B'), id: 'x' }, 'text', report(3, 'C')]);
    expect(answer.status).toBe(207);
    expect(JSON.parse(answer.body)).toMatchObject({
      accepted: 2,
      refused: [
        { index: 1, field: '1.id' },
        { index: 2, field: '2' },
      ],
    });
    expect((await told()).map(({ event }) => event)).toEqual(['A', 'C']);
  });

  test.each([
    ['no array', {}],
    ['nothing', []],
    ['only broken ones', [{ id: 'x' }]],
    ['more than a hundred', Array.from({ length: 101 }, (_, n) => report(n, 'A'))],
  ])('400, and nothing kept: %s', async (_, body) => {
    expect((await post(body)).status).toBe(400);
    expect(await listed()).toEqual([]);
  });

  test('one that comes again is kept once; the clock of the device may be years off', async () => {
    const years = { ...report(1, 'A'), deviceTime: '2094-07-01T00:00:00Z' };
    await post([years, report(2, 'B')]);
    await post([years]);
    expect((await told()).map(({ event, deviceTime }) => [event, deviceTime])).toEqual([
      ['A', '2094-07-01T00:00:00Z'],
      ['B', '1970-01-01T00:00:07Z'],
    ]);
    for (const { receivedAt } of await told())
      expect(Math.abs(Date.parse(receivedAt) - Date.now())).toBeLessThan(60_000);
  });

  test('what another device reports is its own, whatever it names', async () => {
    await post([report(1, 'A')], operational('pump-2'));
    expect(await listed()).toEqual([]);
  });

  test('the same reports come over MQTT', async () => {
    const payload = Buffer.from(JSON.stringify([report(1, 'A'), { broken: true }]));
    await scene.bus.send('signet.mqtt.acme.pump-1.up.events', payload);
    await vi.waitFor(async () => expect((await told()).map(({ event }) => event)).toEqual(['A']));
    await scene.bus.send('signet.mqtt.acme.pump-1.up.events', Buffer.from('{'));
  });
});

describe('F28: a config that the device says it applied', () => {
  const applied = (n: number, version: string, more: object = {}) =>
    report(n, 'ConfigApplied', { correlationId: `config-${version}`, version, ...more });

  test('F41: is DEVICE_CONFIG_APPLIED with its version, once; not one that failed, nor one that never was', async () => {
    const file = { name: 'app.toml', value: 'a = 1', unencrypted: true };
    const change = { ...own, files: [file], reason: '', by: 'ada' };
    await scene.bus.request(setDeviceConfig, change);
    const { headers } = await scene.call(pump, { path: '/config' });
    expect(headers.etag).toBe('"1"');
    await post([applied(1, '1', { success: false }), applied(2, '7'), applied(3, 'one')]);
    await post([applied(4, '1', { success: true }), applied(5, '1', { success: true })]);
    await scene.bus.request(setDeviceConfig, change);
    await post([applied(6, '2')]);
    const events = await scene.events('DEVICE_CONFIG_APPLIED', 2);
    expect(events.map(({ subject, data }) => [subject, data.version])).toEqual([
      ['pump-1', 1],
      ['pump-1', 2],
    ]);
    expect(await scene.bus.request(getDeviceConfig, own)).toMatchObject({ appliedVersion: 2 });
  });
});
