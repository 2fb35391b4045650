import { newTestKey } from '@signet/pki/testing';
import { describe, expect, test } from 'vitest';
import { forgeBootstrap } from '../support/forged.ts';
import type { Scene } from '../support/scene.ts';
import { succeed } from '../support/tools.ts';

const HOUR_MS = 3_600_000;

/** Who comes to the bootstrap service and must get no handoff. */
export function refusedAtBootstrap(scene: () => Scene): void {
  describe('the bootstrap service refuses', () => {
    test('a device that nobody has claimed, for now: it is told when to ask again, and gets in after the claim', async () => {
      const device = await scene().device().manufacture();
      const answer = await device.askForHandOver();
      expect(answer).toMatchObject({ status: 202, body: { state: 'manufactured' } });
      expect(Number(answer.retryAfter)).toBeGreaterThan(0);
      await scene().refusal(
        'BOOTSTRAP_REFUSED',
        'unclaimed',
        (data) => data.fingerprint === device.fingerprint,
      );
      await device.claim();
      await device.handOver();
    });

    test('F61: a device that was blocked before; its claim is refused too', async () => {
      const device = await scene().device().manufacture();
      await scene().post('devices/actions/block', { fingerprints: [device.fingerprint], reason: 'stolen' });
      const claim = await scene().platform.env.operator.call(
        'POST',
        `/v1/accounts/${scene().account}/devices`,
        {
          fingerprint: device.fingerprint,
        },
      );
      expect(claim).toMatchObject({ status: 409, body: { code: 'blocked' } });
      const { status, body } = await device.askForHandOver();
      expect(status).toBe(403);
      expect(['blocked', 'denied']).toContain(body.code);
      await scene().event(
        'BOOTSTRAP_REFUSED',
        ({ data }) => data.code === body.code && data.fingerprint === device.fingerprint,
      );
    });

    test('F57: a device that is in no factory log, though its certificate is a genuine one', async () => {
      const device = scene().device();
      const { fingerprint } = await forgeBootstrap(scene(), device, 'unknown');
      expect(await device.askForHandOver('unknown')).toMatchObject({
        status: 403,
        body: { code: 'unknown-device' },
      });
      await scene().refusal(
        'BOOTSTRAP_REFUSED',
        'unknown-device',
        (data) => data.fingerprint === fingerprint,
      );
    });

    test('an expired certificate', async () => {
      const device = scene().device();
      const notAfter = Date.now() - HOUR_MS;
      const { fingerprint } = await forgeBootstrap(scene(), device, 'expired', { notAfter });
      expect(await device.askForHandOver('expired')).toMatchObject({
        status: 403,
        body: { code: 'expired' },
      });
      await scene().refusal('BOOTSTRAP_REFUSED', 'expired', (data) => data.fingerprint === fingerprint);
    });

    test('F53: a certificate that names our CA and was signed by another', async () => {
      const device = scene().device();
      const { fingerprint } = await forgeBootstrap(scene(), device, 'forged', { signingKey: newTestKey() });
      expect(await device.askForHandOver('forged')).toMatchObject({
        status: 403,
        body: { code: 'bad-signature' },
      });
      await scene().refusal('BOOTSTRAP_REFUSED', 'bad-signature', (data) => data.fingerprint === fingerprint);
    });

    test('F53: a certificate of another CA, and one that openssl signed with its own key', async () => {
      const device = scene().device();
      const { fingerprint } = await forgeBootstrap(scene(), device, 'foreign', {
        signingKey: newTestKey(),
        issuer: { commonName: 'Somebody else' },
        authorityKeyId: 'ab'.repeat(20),
      });
      expect(await device.askForHandOver('foreign')).toMatchObject({
        status: 403,
        body: { code: 'unknown-issuer' },
      });
      await scene().refusal(
        'BOOTSTRAP_REFUSED',
        'unknown-issuer',
        (data) => data.fingerprint === fingerprint,
      );

      const { run, tools } = scene();
      const files = ['-keyout', device.file('own.key'), '-out', device.file('own.crt')];
      const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
      await succeed(run, tools.openssl, 'req', '-x509', ...key, '-subj', `/CN=${device.id}`, ...files);
      expect(await device.askForHandOver('own')).toMatchObject({
        status: 403,
        body: { code: 'unknown-issuer' },
      });
      await scene().refusal(
        'BOOTSTRAP_REFUSED',
        'unknown-issuer',
        (data) => data.issuer?.includes(device.id) === true,
      );
    });

    test('F58: an operational certificate', async () => {
      const device = await scene().device().onboard();
      expect(await device.askForHandOver('operational')).toMatchObject({
        status: 403,
        body: { code: 'wrong-purpose' },
      });
      const refusal = await scene().refusal(
        'BOOTSTRAP_REFUSED',
        'wrong-purpose',
        ({ deviceId }) => deviceId === device.id,
      );
      expect(refusal.message).toContain('bootstrap');
    });

    test('F75: a peer without a certificate, by its address', async () => {
      const { run, tools, rootFile, platform } = scene();
      const url = `https://localhost:${platform.env.ports.bootstrap}/v1/bootstrap`;
      const { stdout } = await succeed(run, tools.curl, '-sS', '--cacert', rootFile, '-X', 'POST', url);
      expect(JSON.parse(stdout.toString())).toMatchObject({ status: 401, code: 'no-certificate' });
      const { address } = await scene().refusal('BOOTSTRAP_REFUSED', 'no-certificate', () => true);
      expect(address).toContain('127.0.0.1');
    });

    test('F53: and the device refuses a server that its own root did not vouch for', async () => {
      const device = await scene().device().manufacture();
      const { run, tools, platform } = scene();
      const identity = ['--cert', device.file('bootstrap.crt'), '--key', device.file('bootstrap.key')];
      const url = `https://localhost:${platform.env.ports.bootstrap}/v1/bootstrap`;
      const strangers = ['--cacert', '/etc/ssl/certs/ca-certificates.crt'];
      const result = await run(tools.curl, ['-sS', ...strangers, ...identity, '-X', 'POST', url]);
      expect(result.code).toBeGreaterThan(0);
      expect(result.stderr).toMatch(/certificate/);
    });
  });
}
