import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeviceFolder, leaf, run } from '@signet/agent';
import { type Campaign, deviceTopic, getDeviceKeys, type Rotation } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Device, statusOf } from './support/device.ts';
import { localDownstream } from './support/downstream.ts';
import { ACCOUNT, Scene } from './support/scene.ts';
import { requireTools, succeed } from './support/tools.ts';

const tools = requireTools();
const DAY_MS = 86_400_000;
const soon = { timeout: 20_000, interval: 100 };

describe.skipIf(Object.values(tools).includes(''))('rotation of keys, over the whole platform', () => {
  const stack = new AsyncDisposableStack();
  let scene: Scene;
  let keysOf: (device: Device) => Promise<{ current?: string | undefined; next?: string | undefined }>;
  beforeAll(async () => {
    const env = stack.use(await startDevEnv());
    scene = stack.use(await sceneOf(env));
    keysOf = async ({ id }) => {
      const ring = await env.deps.bus.request(getDeviceKeys, { account: ACCOUNT, deviceId: id });
      return { current: ring.current?.serialNumber, next: ring.next?.serialNumber };
    };
  });
  afterAll(() => stack.disposeAsync());

  const gateway = async (device: Device, identity: string, path: string, ...args: string[]) =>
    statusOf(
      await device.curl(
        identity,
        ...['-w', '\n%{http_code}', ...args],
        `https://localhost:${scene.platform.env.ports.gateway}${path}`,
      ),
    );
  const announce = (device: Device, publicKey: string) =>
    gateway(
      device,
      'operational',
      '/device',
      ...['-X', 'PATCH', '-H', 'content-type: application/json'],
      ...['-d', JSON.stringify({ next_pubkey: publicKey })],
    );
  const publicKey = async (device: Device, name: string) =>
    (
      await succeed(scene.run, tools.openssl, 'pkey', '-in', device.file(`${name}.key`), '-pubout')
    ).stdout.toString();
  const publish = (device: Device, identity: string) => {
    const topic = deviceTopic({ account: ACCOUNT, device: device.id, way: 'up', levels: ['x'] });
    return scene.mosquitto.publish(device, topic, 'hello', { identity });
  };
  const isIn = async (device: Device, identity: string) => {
    expect((await gateway(device, identity, '/device')).status).toBe(200);
    expect(await publish(device, identity)).toMatchObject({ code: 0 });
  };
  /** At each of the three listeners. */
  const isShutOut = async (device: Device, identity: string) => {
    await device.newKey('again', `/O=${ACCOUNT}/CN=${device.id}`);
    const csr = await device.csr('again');
    await vi.waitFor(async () => {
      expect((await gateway(device, identity, '/config')).status).toBe(403);
      expect((await device.postCsr(csr, { identity, operation: 'simplereenroll' })).status).toBe(403);
      expect((await publish(device, identity)).code).toBe(5);
    }, soon);
  };
  const keepAs = async (device: Device, name: string) => {
    for (const kind of ['crt', 'key'])
      await copyFile(device.file(`renewed.${kind}`), device.file(`${name}.${kind}`));
  };

  test.each([
    ['second', 'renewed', 'lost'],
    ['first', 'lost', 'renewed'],
  ])(
    'F31, F38, F39: strongSwan re-enrols twice and comes with the %s over MQTT: it wins; the other and the old one are refused by broker, gateway and EST',
    async (order, winner, loser) => {
      const device = await scene.device(`twice-${order}`).onboard();
      await isIn(device, 'operational');
      const first = await keysOf(device);
      const lost = await device.renew();
      await keepAs(device, 'lost');
      const second = await device.renew();
      expect(await keysOf(device)).toEqual({ ...first, next: second.serialNumber });
      await isIn(device, 'operational');

      const won = winner === 'lost' ? lost : second;
      expect(await publish(device, winner)).toMatchObject({ code: 0 });
      const { data } = await scene.eventOf('DEVICE_PUBKEY_CHANGE', device);
      expect(data).toMatchObject({ newSerialNumber: won.serialNumber, newPublicKeyHash: won.publicKeyHash });
      await isShutOut(device, 'operational');
      await isShutOut(device, loser);
      expect(await keysOf(device)).toEqual({ current: won.serialNumber, next: undefined });
      await isIn(device, winner);
    },
  );

  test('a rotation that is cancelled: the device goes on with either key; revoked as well, that key is refused everywhere and the device may rotate again', async () => {
    const device = await scene.device('cancelled').onboard();
    await device.renew();
    await scene.post(`devices/${device.id}/rotation/cancel`, {});
    await isIn(device, 'operational');
    await scene.post(`devices/${device.id}/rotation/cancel`, { revoke: true });
    await isShutOut(device, 'renewed');
    await isIn(device, 'operational');

    const again = await device.renew();
    await scene.post(`devices/${device.id}/rotation/cancel`, {});
    await isIn(device, 'renewed');
    expect(await keysOf(device)).toEqual({ current: again.serialNumber, next: undefined });
  });

  test('a key that EST did not issue, or issued to another device, is not announced: 409, and both devices stay as they were', async () => {
    const [device, other] = [await scene.device('mine').onboard(), await scene.device('other').onboard()];
    await isIn(device, 'operational');
    const before = await keysOf(device);
    const renewed = await other.renew();
    await device.newKey('unissued');
    for (const key of [await publicKey(other, 'renewed'), await publicKey(device, 'unissued')]) {
      const answer = await announce(device, key);
      expect([answer.status, JSON.parse(answer.body)]).toMatchObject([
        409,
        {
          code: 'not-announced',
          detail: 'next_pubkey: no certificate was issued to this device for that key',
        },
      ]);
    }
    expect(await keysOf(device)).toEqual(before);
    expect((await keysOf(other)).next).toBe(renewed.serialNumber);
  });

  test('F32, F37, F42: all that end before a date are ordered to rotate, no others; the agent’s next connection is by the new certificate, whose dates are as configured', async () => {
    const validity = (settings: object) =>
      scene.platform.env.operator.put(`/v1/accounts/${ACCOUNT}/profiles/default`, { settings });
    await validity({ validityDays: 40, renewedValidityDays: 20 });
    const device = await (await scene.device('ends-soon').manufacture()).claim();
    const folder = new DeviceFolder(join(scene.folder, device.id));
    await folder.putFactoryFiles({
      key: await readFile(device.file('bootstrap.key'), 'utf8'),
      certificate: await readFile(device.file('bootstrap.crt'), 'utf8'),
      trust: await readFile(device.file('root.pem'), 'utf8'),
      url: `https://localhost:${scene.platform.env.ports.bootstrap}`,
    });
    const over = new AbortController();
    const running = run(folder, { signal: over.signal, identity: false, configMs: 500 });
    try {
      const connected = () => scene.eventOf('DEVICE_CONNECTED', device);
      await connected();
      const first = leaf((await folder.operational()) ?? expect.unreachable());
      expect((first.notAfter - Date.now()) / DAY_MS).toBeCloseTo(40, 1);
      await validity({ validityDays: 90, renewedValidityDays: 20 });
      const others = await scene.device('ends-late').onboard();

      const expiresBefore = new Date(Date.now() + 45 * DAY_MS).toISOString();
      const { campaignId } = await scene.post<Campaign>('campaigns', { expiresBefore, perMinute: 60_000 });
      const again = await scene.event(
        'DEVICE_CONNECTED',
        ({ subject, data }) => subject === device.id && data.serialNumber !== first.serialNumber,
      );
      const second = leaf((await folder.operational()) ?? expect.unreachable());
      expect(again.data.serialNumber).toBe(second.serialNumber);
      expect((second.notAfter - Date.now()) / DAY_MS).toBeCloseTo(20, 1);
      await vi.waitFor(async () => {
        const { state, counts } = await scene.get<Campaign>(`campaigns/${campaignId}`);
        expect([state, counts.DONE]).toEqual([
          'COMPLETED',
          Object.values(counts).reduce((sum, n) => sum + n),
        ]);
      }, soon);
      const { items } = await scene.get<{ items: { deviceId: string }[] }>(`campaigns/${campaignId}/devices`);
      expect(items.map(({ deviceId }) => deviceId)).toContain(device.id);
      expect(items.map(({ deviceId }) => deviceId)).not.toContain(others.id);
    } finally {
      over.abort();
      await running;
      await validity({});
    }
  });
});

test.skipIf(Object.values(tools).includes(''))(
  'a rotation that stalls is shown as stalled, by when it began',
  async () => {
    let ahead = 0;
    await using env = await startDevEnv({ now: () => Date.now() + ahead });
    await using scene = await sceneOf(env);
    const device = await scene.device('stalls').onboard();
    const next = await device.renew();
    const stalled = async () => (await scene.get<{ items: Rotation[] }>('rotations?stalled=true')).items;
    expect(await stalled()).toEqual([]);
    ahead = 25 * 3_600_000;
    expect(await stalled()).toMatchObject([
      { deviceId: device.id, serialNumber: next.serialNumber, stalled: true },
    ]);
  },
);

function sceneOf(env: DevEnv): Promise<Scene> {
  const [keyFolder, downstream] = [env.dataDir, localDownstream(env.deps.bus)];
  return Scene.open({ env, downstream, keyFolder, [Symbol.asyncDispose]: async () => {} }, tools);
}
