import { deviceTopic, mqttSubject } from '@signet/contracts';
import { type ServiceName, serviceNames } from '@signet/dev-env';
import { describe, expect, test } from 'vitest';
import { claimers } from '../support/claimers.ts';
import type { Device } from '../support/device.ts';
import type { Platform } from '../support/platform.ts';
import type { Scene } from '../support/scene.ts';
import type { ServerName } from '../support/servers.ts';

/** How the services call a server: the readiness check, and what their log says of its absence. */
const signs = {
  nats: { check: 'bus', service: 'bootstrap', log: /NATS/ },
  mongo: { check: 'store', service: 'bootstrap', log: /MongoDB is unavailable/ },
  redis: { check: 'mqtt-broker.sessions', service: 'mqtt-broker', log: /Redis is unavailable/ },
} as const satisfies Record<ServerName, { check: string; service: ServiceName; log: RegExp }>;

/** NATS, MongoDB and Redis are killed under the running platform, and come back. */
export function serversAway(scene: () => Scene): void {
  const topic = (device: Device, way: 'up' | 'down', ...levels: string[]) =>
    deviceTopic({ account: scene().account, device: device.id, way, levels });

  describe('when a server is killed in mid-flight', () => {
    test('NATS: no acknowledged message is lost, sessions live on, and who waits is served when it is back', async () => {
      const { platform, mosquitto } = scene();
      const device = await scene().device().onboard();
      await using subscriber = await mosquitto.subscribe(device, topic(device, 'down', '#'));
      const publisher = await scene().device().onboard();
      const acknowledged: string[] = [];
      const publish = async (text: string) => {
        const { code } = await mosquitto.publish(publisher, topic(publisher, 'up', 'n'), text);
        if (code === 0) acknowledged.push(text);
        return code;
      };
      for (const text of ['1', '2', '3']) expect(await publish(text)).toBe(0);

      await using nats = await kill(platform, 'nats');
      const waiting = publish('4');
      const unclaimed = await platform.env.operator.call('POST', `/v1/accounts/${scene().account}/devices`, {
        fingerprint: '0'.repeat(64),
      });
      expect(unclaimed).toMatchObject({ status: 503, body: { code: 'unavailable' } });
      await nats.bringBack();
      await waiting;
      await expect.poll(() => publish('5'), { timeout: 20_000, interval: 200 }).toBe(0);

      const stored = await platform.downstream.stored(
        mqttSubject(scene().account, publisher.id, 'up', ['n']),
      );
      expect(stored).toEqual(expect.arrayContaining(acknowledged));
      await expect
        .poll(
          async () => {
            await platform.downstream.send(
              mqttSubject(scene().account, device.id, 'down', ['still']),
              'there',
            );
            return subscriber.lines.some((line) => line.endsWith('still there'));
          },
          { timeout: 20_000, interval: 200 },
        )
        .toBe(true);
      expect(subscriber.lines.join('\n')).not.toContain('lost');
      await scene().device().onboard();
    });

    test('MongoDB: no acknowledged claim is lost, nor its event; the broker goes on', async () => {
      const { platform, mosquitto } = scene();
      const device = await scene().device().onboard();
      await using subscriber = await mosquitto.subscribe(device, topic(device, 'down', '#'));
      await using claims = await claimers(scene(), { devices: 40, atATime: 4 });
      await expect.poll(() => claims.done.length, { timeout: 20_000 }).toBeGreaterThan(5);

      await using mongo = await kill(platform, 'mongo');
      await platform.downstream.send(mqttSubject(scene().account, device.id, 'down', ['still']), 'there');
      await subscriber.line(/still there$/);
      expect(await mosquitto.publish(device, topic(device, 'up', 'x'), 'x')).toMatchObject({ code: 0 });
      await mongo.bringBack();
      await claims.finished;
      await claims.check();
      await scene().device().onboard();
    });

    test('Redis: the broker says so, and takes devices again when it is back', async () => {
      const { platform, mosquitto } = scene();
      const device = await scene().device().onboard();
      await using redis = await kill(platform, 'redis');
      const enrolledMeanwhile = await scene().device().onboard();
      await redis.bringBack();
      for (const one of [device, enrolledMeanwhile]) {
        const publish = async () => (await mosquitto.publish(one, topic(one, 'up', 'x'), 'x')).code;
        await expect.poll(publish, { timeout: 20_000, interval: 200 }).toBe(0);
      }
    });
  });
}

/** Kills a server; it must be in the log and in `/ready`. It is brought back at the end, if it was not before. */
async function kill(
  platform: Platform,
  name: ServerName,
): Promise<AsyncDisposable & { bringBack(): Promise<void> }> {
  const { env, servers } = platform;
  if (servers === undefined) throw new Error('this platform brings its own store and bus');
  const { check, service, log } = signs[name];
  const from = env.log.lines.length;
  await servers.kill(name);
  let isAway = true;
  const bringBack = async () => {
    if (!isAway) return;
    isAway = false;
    await servers.restart(name);
    await allReady(platform);
  };
  const killed = { bringBack, [Symbol.asyncDispose]: bringBack };
  await using stack = new AsyncDisposableStack();
  stack.use(killed);
  await env.log.find(({ level, msg }) => (level === 'warn' || level === 'error') && log.test(msg), from);
  await expect
    .poll(() => env.readiness(service), { timeout: 20_000 })
    .toMatchObject({ ready: false, checks: { [check]: { ok: false, reason: expect.any(String) } } });
  stack.move();
  return killed;
}

/** Every service must become ready by itself. */
export async function allReady({ env }: Platform): Promise<void> {
  for (const service of serviceNames) {
    const wrong = async () => {
      const { ready, checks } = await env.readiness(service);
      const failing = Object.entries(checks).filter(([, { ok }]) => !ok);
      return { service, ready, failing: Object.fromEntries(failing) };
    };
    await expect.poll(wrong, { timeout: 75_000 }).toEqual({ service, ready: true, failing: {} });
  }
}
