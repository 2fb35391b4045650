import { readFile, writeFile } from 'node:fs/promises';
import { decodePem } from '@signet/pki';
import { describe, expect, test } from 'vitest';
import { ACCOUNT, type Scene } from '../support/scene.ts';

/** A profile that an operator made, over the API: by certificate alone, and no certificate without approval. */
export function approvedEnrolment(scene: () => Scene): void {
  describe('an enrollment profile of the account', () => {
    test('F4: no certificate before an operator approves; one after, without touching the device', async () => {
      const { run, tools, rootFile, platform } = scene();
      const profile = { authentication: 'certificate', approval: 'first', validityDays: 30 };
      await scene().post('profiles', { name: 'approved', settings: profile });
      const device = await scene().device().manufacture();
      await device.newKey('approved');
      const der = decodePem(await readFile(device.file('approved.csr'), 'utf8'), 'CERTIFICATE REQUEST');
      await writeFile(device.file('approved.b64'), Buffer.from(der).toString('base64'));
      const ask = async () => {
        const { stdout } = await run(tools.curl, [
          ...['-sS', '--cacert', rootFile, '--cert', device.file('bootstrap.crt')],
          ...['--key', device.file('bootstrap.key'), '-H', 'Content-Type: application/pkcs10'],
          ...['--data-binary', `@${device.file('approved.b64')}`, '-w', '\n%{http_code}'],
          `https://localhost:${platform.env.ports.est}/.well-known/est/${ACCOUNT}.approved/simpleenroll`,
        ]);
        return stdout.toString().split('\n').at(-1);
      };
      expect(await ask()).toBe('403');
      await device.claim();
      expect(await ask()).toBe('202');
      const { data } = await scene().eventOf('ENROLLMENT_REQUESTED', device);
      await scene().post(`requests/${data.requestId}/approve`, {});
      expect(await ask()).toBe('200');
      const issued = await scene().eventOf('CERT_ISSUED', device);
      expect(issued.data).toMatchObject({ profile: `${ACCOUNT}.approved` });
    });
  });
}
