import { deviceTopic } from '@signet/contracts';
import { describe, expect, test } from 'vitest';
import { claimers } from '../support/claimers.ts';
import type { Scene } from '../support/scene.ts';
import { allReady } from './servers-away.ts';

/** Services as processes: killed without warning, and started while the servers are unavailable. */
export function processes(scene: () => Scene): void {
  const topology = () => {
    const { topology: env } = scene().platform;
    if (env === undefined) throw new Error('needs the platform as processes');
    return env;
  };

  describe('a service that is killed with -9', () => {
    test('bootstrap, amid claims: none that was acknowledged is lost, nor its event', async () => {
      await using claims = await claimers(scene(), { devices: 40, atATime: 4 });
      await expect.poll(() => claims.done.length, { timeout: 20_000 }).toBeGreaterThan(5);
      await topology().kill('bootstrap');
      await topology().start('bootstrap');
      await claims.finished;
      await claims.check();
    });

    test('est-ca, amid enrolments: the devices ask again with the same key, and each has one certificate', async () => {
      const devices = await Promise.all(
        Array.from({ length: 4 }, async () => {
          const device = await scene().device().manufacture();
          await device.claim();
          await device.handOver();
          await device.newKey('operational');
          return device;
        }),
      );
      const enrol = async (device: (typeof devices)[number]) => {
        const grant = device.bundle.est.grant;
        return await device.postCsr(await device.csr('operational'), { grant }).catch(() => ({ status: 0 }));
      };
      const first = devices.map(enrol);
      await topology().kill('est-ca');
      await Promise.all(first);
      await topology().start('est-ca');
      for (const device of devices) {
        expect(await enrol(device)).toMatchObject({ status: 200 });
        expect((await scene().certificates(device)).length).toBe(1);
        await scene().eventOf('CERT_ISSUED', device);
      }
    });

    test('mqtt-broker: devices connect again, and what is sent to them then reaches them', async () => {
      const { mosquitto, platform } = scene();
      const device = await scene().device().onboard();
      const topic = deviceTopic({ account: scene().account, device: device.id, way: 'down', levels: ['#'] });
      await using subscriber = await mosquitto.subscribe(device, topic, { more: ['-c'] });
      await topology().kill('mqtt-broker');
      await subscriber.exited;
      await topology().start('mqtt-broker');
      await using again = await mosquitto.subscribe(device, topic, { more: ['-c'] });
      await platform.downstream.send(`signet.mqtt.${scene().account}.${device.id}.down.hello`, 'again');
      await again.line(/hello again$/);
      await expect.poll(async () => (await scene().view(device)).activity?.connected).toBe(true);
    });
  });

  test('a service that starts while NATS, MongoDB and Redis are unavailable says so, waits, and gets ready by itself', async () => {
    const { platform } = scene();
    const { servers, env } = platform;
    if (servers === undefined) throw new Error('needs servers of its own');
    const names = ['nats', 'mongo', 'redis'] as const;
    await env.stop('bootstrap');
    await env.stop('mqtt-broker');
    for (const name of names) await servers.kill(name);
    const from = env.log.lines.length;
    const started = Promise.all([env.start('bootstrap'), env.start('mqtt-broker')]);
    for (const what of [/NATS is unavailable/, /MongoDB is unavailable/]) {
      await env.log.find(({ service, msg }) => service === 'bootstrap' && what.test(msg), from);
    }
    expect(await env.readiness('bootstrap')).toMatchObject({
      ready: false,
      checks: { bus: { ok: false }, store: { ok: false } },
    });
    for (const name of names) await servers.restart(name);
    await started;
    await allReady(platform);
    await scene().device().onboard();
  });
}
