import { join } from 'node:path';
import { deviceTopic } from '@signet/contracts';
import type { ServiceName } from '@signet/dev-env';
import { requireServer } from '@signet/tests/servers';
import { startMongoJavaServer, startNats, startRedis } from '@signet/tests/servers/start';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { claimers } from './support/claimers.ts';
import { natsDownstream } from './support/downstream.ts';
import { Scene } from './support/scene.ts';
import { requireTools } from './support/tools.ts';
import { startTopologyEnvironment, type TopologyEnvironment } from './support/topology-environment.ts';

const binaries = {
  nats: requireServer('nats-server'),
  mongo: requireServer('mongo-java-server'),
  redis: requireServer('redis-server'),
};
const tools = requireTools();
const services: readonly ServiceName[] = [
  'bootstrap',
  'est-ca',
  'provisioning',
  'revocation-sync',
  'mqtt-broker',
  'admin-api',
];
const natsConfig = join(import.meta.dirname, '..', '..', 'deploy', 'nats.conf');

describe.skipIf(Object.values({ ...binaries, ...tools }).includes(''))(
  'two replicas of every service, over NATS, Redis and a store that writes documents atomically',
  () => {
    const stack = new AsyncDisposableStack();
    let env: TopologyEnvironment;
    let scene: Scene;
    beforeAll(async () => {
      const [nats, mongo, redis] = await Promise.all([
        startNats(binaries.nats, { config: natsConfig }),
        startMongoJavaServer(binaries.mongo),
        startRedis(binaries.redis),
      ]);
      for (const server of [nats, mongo, redis]) stack.use(server);
      const urls = { nats: nats.url, mongo: mongo.url, redis: redis.url };
      env = stack.use(await startTopologyEnvironment(urls, { replicas: 2 }));
      const downstream = stack.use(await natsDownstream(nats.url));
      const keyFolder = join(env.directory, 'est-ca', 'est-ca', 'keys');
      const platform = { env, topology: env, downstream, keyFolder, [Symbol.asyncDispose]: async () => {} };
      scene = stack.use(await Scene.open(platform, tools));
    }, 240_000);
    afterAll(() => stack.disposeAsync(), 120_000);

    const topic = (id: string) =>
      deviceTopic({ account: scene.account, device: id, way: 'down', levels: ['#'] });

    test('F12: devices come in, enrol and renew, whichever replica answers, each with one certificate for each step', async () => {
      const devices = await Promise.all(Array.from({ length: 6 }, () => scene.device().onboard('fleet')));
      for (const device of devices) {
        expect((await scene.certificates(device)).length).toBe(1);
        await device.renew();
        expect((await scene.certificates(device)).length).toBe(2);
      }
      const serials = devices.map(async (device) =>
        (await scene.certificates(device)).map(({ serialNumber }) => serialNumber),
      );
      const all = (await Promise.all(serials)).flat();
      expect(new Set(all).size).toBe(12);
    });

    test('F12 F73: one call ends the live sessions of a group on both brokers, and neither admits them again', async () => {
      const devices = await Promise.all(Array.from({ length: 4 }, () => scene.device().onboard('doomed')));
      await using subscribers = new AsyncDisposableStack();
      const sessions = await Promise.all(
        devices.map(async (device) =>
          subscribers.use(await scene.mosquitto.subscribe(device, topic(device.id))),
        ),
      );
      await scene.post('devices/actions/revoke', { group: 'doomed' });
      await Promise.all(sessions.map((session) => session.line(/The connection was lost/)));
      for (const device of [...devices, ...devices])
        expect(await scene.mosquitto.publish(device, 'x', 'x')).toMatchObject({ code: 5 });
    });

    test.each(['bootstrap', 'bootstrap-2', 'admin-api'] as const)(
      'F12: %s is killed amid claims: the others go on, and each acknowledged claim is there once',
      async (name) => {
        await using claims = await claimers(scene, { devices: 30, atATime: 4 });
        await expect.poll(() => claims.done.length, { timeout: 20_000 }).toBeGreaterThan(3);
        await env.kill(name);
        await claims.finished;
        await env.start(name);
        await claims.check();
      },
    );

    test('F12 F33: a device enrols and connects while one replica of each service is gone', async () => {
      for (const name of services) await env.kill(name);
      try {
        const device = await scene.device().manufacture();
        await device.claim();
        await device.handOver();
        await device.enrol();
        await using session = await scene.mosquitto.subscribe(device, topic(device.id));
        await scene.platform.downstream.send(
          `signet.mqtt.${scene.account}.${device.id}.down.hello`,
          'still here',
        );
        await session.line(/hello still here$/);
        await scene.post('devices/actions/revoke', { deviceIds: [device.id] });
        await session.line(/The connection was lost/);
      } finally {
        await Promise.all(services.map((name) => env.start(name)));
      }
    }, 240_000);
  },
);
