import { untilReady } from '@signet/dev-env';
import { describe, expect, test } from 'vitest';
import type { Device } from '../support/device.ts';
import { statusOf } from '../support/device.ts';
import type { Scene } from '../support/scene.ts';

/** Which requests for a certificate are refused. */
export function refusedAtEst(scene: () => Scene): void {
  const claimed = () => claimedDevice(scene());
  const refusalOf = (device: Device, code: Parameters<Scene['refusal']>[1]) =>
    scene().refusal('ENROLLMENT_REFUSED', code, ({ deviceId }) => deviceId === device.id);

  describe('EST refuses', () => {
    test('F25: a wrong grant, as strongSwan shows it', async () => {
      const device = await claimed();
      await device.newKey('operational');
      const result = await device.pkiEst('operational.csr', '--userpass', `${device.id}:nonsense`);
      expect(result.code).not.toBe(0);
      await refusalOf(device, 'wrong-grant');
    });

    test('F25: a grant that was used, with another key; the key that used it may ask again', async () => {
      const device = await claimed();
      const { grant } = device.bundle.est;
      const first = await device.enrol();
      const again = await device.postCsr(await device.csr('operational'), { grant });
      expect(again.status).toBe(200);
      await device.newKey('other');
      const other = await device.postCsr(await device.csr('other'), { grant });
      expect(other.status).toBe(403);
      expect(other.body).toMatch(/grant/);
      await refusalOf(device, 'used-grant');
      expect((await scene().certificates(device)).map(({ serialNumber }) => serialNumber)).toEqual([
        first.serialNumber,
      ]);
    });

    test("F11: another device's grant", async () => {
      const [device, other] = [await claimed(), await claimed()];
      await device.newKey('operational');
      const stolen = `${other.id}:${other.bundle.est.grant}`;
      const { status } = await device.postCsr(await device.csr('operational'), { basic: stolen });
      expect(status).toBeGreaterThanOrEqual(401);
      expect(status).toBeLessThan(404);
      const { data } = await scene().event(
        'ENROLLMENT_REFUSED',
        (event) => event.data.fingerprint === device.fingerprint,
      );
      expect(['wrong-grant', 'wrong-subject', 'bad-identity', 'wrong-account']).toContain(data.code);
    });

    test('F3: a request whose own signature is wrong', async () => {
      const device = await claimed();
      await device.newKey('operational');
      const csr = await device.csr('operational');
      csr[csr.length - 1] = (csr.at(-1) ?? 0) ^ 1;
      const answer = await device.postCsr(csr, { grant: device.bundle.est.grant });
      expect(answer.status).toBe(400);
      await refusalOf(device, 'bad-csr-signature');
    });

    test("F11: a request in another device's name", async () => {
      const device = await claimed();
      await device.newKey('operational', '/CN=somebody-else');
      const answer = await device.postCsr(await device.csr('operational'), {
        grant: device.bundle.est.grant,
      });
      expect(answer.status).toBe(403);
      await refusalOf(device, 'wrong-subject');
    });

    test('a weak key', async () => {
      const device = await claimed();
      await device.newKey('operational', undefined, ['-newkey', 'rsa:1024']);
      const answer = await device.postCsr(await device.csr('operational'), {
        grant: device.bundle.est.grant,
      });
      expect(answer.status).toBe(400);
      await refusalOf(device, 'weak-key');
    });

    test('what is no request at all, and a body that is too long', async () => {
      const device = await claimed();
      const { grant } = device.bundle.est;
      expect(await device.postCsr(Buffer.from('hello'), { grant })).toMatchObject({ status: 400 });
      await refusalOf(device, 'malformed-request');
      expect(await device.postCsr(Buffer.alloc(200_000), { grant })).toMatchObject({ status: 413 });
      await device.newKey('operational');
      expect(await device.postCsr(await device.csr('operational'), { grant })).toMatchObject({ status: 200 });
    });

    test('F58: a renewal with the bootstrap certificate', async () => {
      const device = await scene().device().onboard();
      await device.newKey('renewed', `/O=${scene().account}/CN=${device.id}`);
      const csr = await device.csr('renewed');
      const answer = await device.postCsr(csr, { operation: 'simplereenroll' });
      expect(answer.status).toBe(403);
      await refusalOf(device, 'wrong-purpose');
    });

    test('F31: a renewal with a Subject that differs', async () => {
      const device = await scene().device().onboard();
      await device.newKey('renewed', `/O=${scene().account}/OU=elsewhere/CN=${device.id}`);
      const options = { operation: 'simplereenroll', identity: 'operational' };
      const answer = await device.postCsr(await device.csr('renewed'), options);
      expect(answer.status).toBe(403);
      await refusalOf(device, 'wrong-subject');
    });

    test('nobody who asks for the CA certificates', async () => {
      const device = await claimed();
      const url = `${device.bundle.est.url}/.well-known/est/${scene().account}/cacerts`;
      expect(statusOf(await device.curl('bootstrap', '-w', '\n%{http_code}', url)).status).toBe(200);
    });
  });
}

/** Moves the platform's clock on, for good: to be the last. */
export function expiredGrant(scene: () => Scene): void {
  test('F25: a grant that has expired', async () => {
    const device = await claimedDevice(scene());
    const { platform } = scene();
    platform.advanceClock?.(16 * 60_000);
    // the deny list was last heard of a quarter of an hour ago, by that clock
    await untilReady(() => platform.env.readiness('est-ca'));
    await device.newKey('operational');
    const answer = await device.postCsr(await device.csr('operational'), {
      grant: device.bundle.est.grant,
    });
    expect(answer.status).toBe(403);
    await scene().refusal('ENROLLMENT_REFUSED', 'expired-grant', ({ deviceId }) => deviceId === device.id);
    await device.handOver();
    await device.enrol();
  });
}

async function claimedDevice(scene: Scene): Promise<Device> {
  const device = await scene.device().manufacture();
  await device.claim();
  await device.handOver();
  return device;
}
