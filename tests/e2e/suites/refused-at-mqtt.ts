import { randomBytes } from 'node:crypto';
import { deviceTopic, mqttSubject } from '@signet/contracts';
import { EKU } from '@signet/pki';
import { describe, expect, test } from 'vitest';
import type { Device } from '../support/device.ts';
import { forgeOperational } from '../support/forged.ts';
import type { Scene } from '../support/scene.ts';

const DAY_MS = 86_400_000;

/** Who the broker lets in with what, and on which topics. */
export function refusedAtMqtt(scene: () => Scene): void {
  const refusalOf = (device: Device, code: Parameters<Scene['refusal']>[1]) =>
    scene().refusal('DEVICE_REFUSED', code, ({ deviceId }) => deviceId === device.id);
  const up = (device: Device, account = scene().account) =>
    deviceTopic({ account, device: device.id, way: 'up', levels: ['x'] });

  describe('the broker refuses', () => {
    test('F58 F27: a bootstrap certificate', async () => {
      const device = await scene().device().onboard();
      const result = await scene().mosquitto.publish(device, up(device), 'x', { identity: 'bootstrap' });
      expect(result).toMatchObject({ code: 5, stderr: expect.stringMatching(/not authori[sz]ed/i) });
      await scene().refusal(
        'DEVICE_REFUSED',
        'wrong-purpose',
        (data) => data.listener === 'mqtt' && data.fingerprint === device.fingerprint,
      );
    });

    test('F58: an operational certificate on the provisioning listener', async () => {
      const device = await scene().device().onboard();
      const port = scene().platform.env.ports.mqttProvisioning;
      const more = ['-u', 'somebody', '-P', 'secret'];
      const result = await scene().mosquitto.publish(device, up(device), 'x', { port, more });
      expect(result.code).toBe(5);
      const data = await scene().refusal(
        'BOOTSTRAP_REFUSED',
        'wrong-purpose',
        ({ deviceId }) => deviceId === device.id,
      );
      expect(data.listener).toBe('mqtt-provisioning');
    });

    test.each([
      [
        'F50: whose extended key usage is that of a server',
        'wrong-extended-key-usage',
        { extKeyUsage: [EKU.serverAuth] },
      ],
      ['F50: that is a CA', 'not-a-leaf', { ca: true }],
      ['F50: without a key usage', 'wrong-key-usage', { keyUsage: undefined }],
      ['F50: without the name of a device', 'bad-identity', { uris: [] }],
      ['that is not valid yet', 'not-yet-valid', { notBefore: Date.now() + DAY_MS / 2 }],
      ['that has expired', 'expired', { notAfter: Date.now() - DAY_MS / 2 }],
    ] as const)('a certificate %s', async (_what, code, changes) => {
      const device = scene().device();
      const { fingerprint } = await forgeOperational(scene(), device, 'wrong', changes);
      const result = await scene().mosquitto.publish(device, up(device), 'x', { identity: 'wrong' });
      // clocks may differ: a device that comes too early may come again
      expect(result.code).toBe(code === 'not-yet-valid' ? 3 : 5);
      await scene().refusal('DEVICE_REFUSED', code, (data) => data.fingerprint === fingerprint);
    });

    test('a client id that is not the device id', async () => {
      const device = await scene().device().onboard();
      const result = await scene().mosquitto.publish(device, up(device), 'x', { clientId: 'dev-0' });
      expect(result).toMatchObject({ code: 2, stderr: expect.stringMatching(/identifier rejected/i) });
      await refusalOf(device, 'wrong-client-id');
    });

    test("F11 F74: to publish on another device's topic, or another account's", async () => {
      const device = await scene().device().onboard();
      const other = await scene().device().onboard();
      const { downstream } = scene().platform;
      const heard = await downstream.listen('signet.mqtt.>');
      const topics = [
        up(other),
        up(device, 'another'),
        up(device).replace('/up/', '/down/'),
        `${up(device)}//x`,
        '$SYS/x',
        'x',
      ];
      for (const topic of topics) {
        const result = await scene().mosquitto.publish(device, topic, 'forbidden');
        expect({ topic, code: result.code }).toEqual({ topic, code: 7 });
      }
      await refusalOf(device, 'topic-not-allowed');
      await scene().mosquitto.publish(device, up(device), 'allowed');
      await expect
        .poll(() => heard.filter(({ subject }) => subject.includes(device.id)))
        .toEqual([{ subject: mqttSubject(scene().account, device.id, 'up', ['x']), text: 'allowed' }]);
      expect(heard.map(({ text }) => text)).not.toContain('forbidden');
    });

    test('F11 F74: to subscribe to anything but its own, whatever the wildcards', async () => {
      const device = await scene().device().onboard();
      const other = await scene().device().onboard();
      const { account } = scene();
      const filters = [
        '#',
        '+/#',
        'd/#',
        '$SYS/#',
        `d/${account}/#`,
        `d/${account}/+/down/#`,
        `d/+/${device.id}/down/#`,
        `d/${account}/${other.id}/down/#`,
        `d/another/${device.id}/down/#`,
        `d/${account}/${device.id}/#`,
        `d/${account}/${device.id}/+/x`,
        `$share/all/d/${account}/${other.id}/down/#`,
        'a/another/shared/#',
        'a/+/shared/#',
      ];
      for (const filter of filters) {
        await using child = scene().mosquitto.listen(device, filter);
        await child.line(
          /All subscription requests were denied|connection was lost|Subscribed \(mid: 1\): 128/,
        );
      }
      await refusalOf(device, 'topic-not-allowed');
    });

    test('a packet that is too large, without collecting it', async () => {
      const device = await scene().device().onboard();
      const text = randomBytes(200_000).toString('hex');
      const result = await scene().mosquitto.publish(device, up(device), text);
      expect(result.code).toBeGreaterThan(0);
      await refusalOf(device, 'packet-too-large');
    });
  });
}
