import { readFile } from 'node:fs/promises';
import { deviceTopic, mqttSubject } from '@signet/contracts';
import { describe, expect, test, vi } from 'vitest';
import { ACCOUNT, type Scene } from '../support/scene.ts';
import { succeed } from '../support/tools.ts';

const DAY_MS = 86_400_000;

/** The way of a device, walked by clients that we did not write. */
export function wayOfADevice(scene: () => Scene): void {
  describe('the way of a device', () => {
    test('F64 F25 F3: openssl makes the key, curl gets the handoff, strongSwan enrols with the grant', async () => {
      const { ports } = scene().platform.env;
      const device = await scene().device().manufacture();
      await device.claim();
      const bundle = await device.handOver();
      expect(bundle).toMatchObject({
        account: ACCOUNT,
        deviceId: device.id,
        est: { url: `https://localhost:${ports.est}`, label: ACCOUNT, username: device.id },
        mqtt: { url: `mqtts://localhost:${ports.mqtt}`, clientId: device.id },
        gateway: { url: `https://localhost:${ports.gateway}` },
      });
      expect(bundle.trustAnchors.join('')).toBe(await readFile(scene().rootFile, 'utf8'));
      const certificate = await device.enrol();
      expect(certificate.subject).toEqual({ commonName: device.id, organization: ACCOUNT });
      const ofKey = await succeed(
        scene().run,
        scene().tools.openssl,
        'pkey',
        '-in',
        device.file('operational.key'),
        '-pubout',
      );
      const ofCertificate = await succeed(
        scene().run,
        scene().tools.openssl,
        'x509',
        '-in',
        device.file('operational.crt'),
        '-noout',
        '-pubkey',
      );
      expect(ofCertificate.stdout.toString()).toBe(ofKey.stdout.toString());
      for (const type of [
        'DEVICE_MANUFACTURED',
        'DEVICE_CLAIMED',
        'DEVICE_BOOTSTRAPPED',
        'CERT_ISSUED',
      ] as const) {
        await scene().eventOf(type, device);
      }
    });

    test('F8: an operational certificate lives for 90 days at most, and F60: a bootstrap certificate for ever', async () => {
      const device = await scene().device().onboard();
      const dates = await succeed(
        scene().run,
        scene().tools.openssl,
        'x509',
        '-in',
        device.file('operational.crt'),
        '-noout',
        '-enddate',
      );
      const end = Date.parse(dates.stdout.toString().replace('notAfter=', ''));
      expect(end).toBeGreaterThan(Date.now() + 89 * DAY_MS);
      expect(end).toBeLessThanOrEqual(Date.now() + 90 * DAY_MS);
      const factory = await succeed(
        scene().run,
        scene().tools.openssl,
        'x509',
        '-in',
        device.file('bootstrap.crt'),
        '-noout',
        '-enddate',
      );
      expect(factory.stdout.toString().trim()).toBe('notAfter=Dec 31 23:59:59 9999 GMT');
    });

    test('F27: mosquitto connects with the certificate, and messages go both ways', async () => {
      const device = await scene().device().onboard();
      const { downstream } = scene().platform;
      const heard = await downstream.listen(mqttSubject(ACCOUNT, device.id, 'up', ['>']).replace('%3E', '>'));
      const topic = (way: 'up' | 'down', ...levels: string[]) =>
        deviceTopic({ account: ACCOUNT, device: device.id, way, levels });
      const sent = await scene().mosquitto.publish(device, topic('up', 'telemetry'), 'warm');
      expect(sent).toMatchObject({ code: 0, stderr: '' });
      await vi.waitFor(() =>
        expect(heard).toEqual([
          { subject: mqttSubject(ACCOUNT, device.id, 'up', ['telemetry']), text: 'warm' },
        ]),
      );
      await using subscriber = await scene().mosquitto.subscribe(device, topic('down', '#'));
      await downstream.send(mqttSubject(ACCOUNT, device.id, 'down', ['commands', 'blink']), 'twice');
      await subscriber.line(new RegExp(`^${topic('down', 'commands', 'blink')} twice$`));
      const { data } = await scene().eventOf('DEVICE_CONNECTED', device);
      expect(data.serialNumber).toBe((await scene().certificates(device))[0]?.serialNumber);
    });

    test('F31: strongSwan renews with the current certificate: same Subject, new key, and the broker takes it', async () => {
      const device = await scene().device().onboard();
      const renewed = await device.renew();
      const [before] = (await scene().certificates(device)).filter(
        ({ serialNumber }) => serialNumber !== renewed.serialNumber,
      );
      expect(before).toBeDefined();
      expect(renewed.subject).toEqual({ commonName: device.id, organization: ACCOUNT });
      const topic = deviceTopic({ account: ACCOUNT, device: device.id, way: 'up', levels: ['renewed'] });
      expect(await scene().mosquitto.publish(device, topic, 'hello', { identity: 'renewed' })).toMatchObject({
        code: 0,
      });
    });

    test('F63 F72: a revoked device is cut off at once, and not let in again', async () => {
      const device = await scene().device().onboard();
      const topic = deviceTopic({ account: ACCOUNT, device: device.id, way: 'down', levels: ['#'] });
      await using subscriber = await scene().mosquitto.subscribe(device, topic);
      await scene().post('devices/actions/revoke', { deviceIds: [device.id], reason: 'stolen' });
      await subscriber.line(/The connection was lost/);
      const again = await scene().mosquitto.publish(device, topic.replace('down/#', 'up/x'), 'let me in');
      expect(again.code).toBe(5);
      expect(again.stderr).toMatch(/not authori[sz]ed/i);
      const { data } = await scene().eventOf('DEVICE_DISCONNECTED', device);
      expect(data.reason).toBe('denied');
      await scene().eventOf('CERT_REVOKED', device);
      await scene().refusal('DEVICE_REFUSED', 'denied', ({ deviceId }) => deviceId === device.id);
    });
  });
}
