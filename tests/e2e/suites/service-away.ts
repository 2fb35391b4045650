import { deviceTopic, mqttSubject } from '@signet/contracts';
import { denyKey } from '@signet/denylist';
import { describe, expect, test } from 'vitest';
import type { Device } from '../support/device.ts';
import type { Scene } from '../support/scene.ts';

/** One service is stopped, and the others go on. */
export function serviceAway(scene: () => Scene): void {
  const topic = (device: Device, way: 'up' | 'down', ...levels: string[]) =>
    deviceTopic({ account: scene().account, device: device.id, way, levels });

  describe('while a service is unavailable', () => {
    test('est-ca: all else goes on, and the devices that wait enrol when it is back', async () => {
      const { platform, mosquitto } = scene();
      const connected = await scene().device().onboard();
      const handedOver = await scene().device().manufacture();
      await handedOver.claim();
      await handedOver.handOver();
      const waiting = await scene().device().manufacture();
      await using subscriber = await mosquitto.subscribe(connected, topic(connected, 'down', '#'));

      await platform.env.stop('est-ca');
      await platform.downstream.send(mqttSubject(scene().account, connected.id, 'down', ['still']), 'there');
      await subscriber.line(/still there$/);
      expect(
        await mosquitto.publish(connected, topic(connected, 'up', 'x'), 'x', { clientId: connected.id }),
      ).toMatchObject({ code: 0 });
      await waiting.claim();
      const answer = await waiting.askForHandOver();
      expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } });
      expect(Number(answer.retryAfter)).toBeGreaterThan(0);
      await expect(handedOver.enrol()).rejects.toThrow();

      await platform.env.start('est-ca');
      await handedOver.enrol();
      await expect.poll(async () => (await waiting.askForHandOver()).status, { timeout: 20_000 }).toBe(200);
      await waiting.handOver();
      await waiting.enrol();
      expect(await mosquitto.publish(waiting, topic(waiting, 'up', 'x'), 'x')).toMatchObject({ code: 0 });
    });

    test('mqtt-broker: who is revoked meanwhile is refused when it is back, and others are let in', async () => {
      const { platform, mosquitto } = scene();
      const [revoked, kept] = [await scene().device().onboard(), await scene().device().onboard()];
      await platform.env.stop('mqtt-broker');
      expect((await mosquitto.publish(kept, topic(kept, 'up', 'x'), 'x')).code).toBeGreaterThan(0);
      await scene().post('devices/actions/revoke', { deviceIds: [revoked.id] });
      const denied = denyKey({ kind: 'device', account: scene().account, deviceId: revoked.id });
      await scene().event('DENYLIST_CHANGED', ({ data }) => data.add.some(({ key }) => key === denied));
      await platform.env.start('mqtt-broker');
      expect(await mosquitto.publish(revoked, topic(revoked, 'up', 'x'), 'x')).toMatchObject({ code: 5 });
      expect(await mosquitto.publish(kept, topic(kept, 'up', 'x'), 'x')).toMatchObject({ code: 0 });
    });

    test('revocation-sync: certificates go on being issued, and what was revoked meanwhile is cut when it is back', async () => {
      const { platform, mosquitto } = scene();
      const device = await scene().device().onboard();
      await using subscriber = await mosquitto.subscribe(device, topic(device, 'down', '#'));
      await platform.env.stop('revocation-sync');
      await scene().device().onboard();
      await scene().post('devices/actions/revoke', { deviceIds: [device.id] });
      await platform.env.start('revocation-sync');
      await subscriber.line(/The connection was lost/);
    });

    test('admin-api: devices notice nothing, and every event is there when it is back', async () => {
      const { platform, mosquitto } = scene();
      const device = await scene().device().onboard();
      await platform.env.stop('admin-api');
      await device.renew();
      expect(
        await mosquitto.publish(device, topic(device, 'up', 'x'), 'x', { identity: 'renewed' }),
      ).toMatchObject({ code: 0 });
      await platform.env.start('admin-api');
      await scene().eventOf('CERT_RENEWED', device);
      await scene().eventOf('DEVICE_CONNECTED', device);
      await expect.poll(async () => (await scene().certificates(device)).length).toBe(2);
    });
  });
}
