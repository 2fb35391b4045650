import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { OperatorClient } from '@signet/dev-env';
import { createCsr, encodePem } from '@signet/pki';
import { newTestKey } from '@signet/pki/testing';
import { describe, expect, test } from 'vitest';
import { statusOf } from '../support/device.ts';
import type { Scene } from '../support/scene.ts';

/** The device gateway, the operators' API, and what concerns all listeners. */
export function refusedElsewhere(scene: () => Scene): void {
  describe('the device gateway', () => {
    test('F58: lets operational certificates in, and no bootstrap certificate', async () => {
      const device = await scene().device().onboard();
      const url = `${device.bundle.gateway.url}/device`;
      const ask = async (identity: string) =>
        statusOf(await device.curl(identity, '-w', '\n%{http_code}', url));
      await expect.poll(() => ask('operational')).toMatchObject({ status: 200 });
      const refused = await ask('bootstrap');
      expect({ ...refused, body: JSON.parse(refused.body) }).toMatchObject({
        status: 403,
        body: { code: 'wrong-purpose' },
      });
      await scene().refusal(
        'DEVICE_REFUSED',
        'wrong-purpose',
        (data) => data.listener === 'gateway' && data.fingerprint === device.fingerprint,
      );
    });

    test('refuses broken JSON and bodies that are too long, saying why', async () => {
      const device = await scene().device().onboard();
      const url = `${device.bundle.gateway.url}/config`;
      const patch = async (body: string) => {
        await writeFile(device.file('body.json'), body);
        const file = `@${device.file('body.json')}`;
        const json = ['-X', 'PATCH', '-H', 'content-type: application/json', '--data-binary', file];
        const { status, body: text } = statusOf(
          await device.curl('operational', ...json, '-w', '\n%{http_code}', url),
        );
        return { status, ...(JSON.parse(text) as object) };
      };
      await expect.poll(() => patch('{"files":')).toMatchObject({ status: 400, code: 'invalid-request' });
      await expect(patch(JSON.stringify({ files: 'x'.repeat(9_000_000) }))).resolves.toMatchObject({
        status: 413,
      });
    });
  });

  describe('the operators', () => {
    test('F63: claim only with a role that may, and a fingerprint that is one', async () => {
      const { operator } = scene().platform.env;
      const device = await scene().device().manufacture();
      const claim = `/v1/accounts/${scene().account}/devices`;
      const as = async (role: string) => {
        const { token } = await operator.post<{ token: string }>('/v1/tokens', {
          name: role,
          grants: [{ account: scene().account, role }],
        });
        return new OperatorClient({ url: operator.url, token });
      };
      const body = { fingerprint: device.fingerprint };
      for (const role of ['viewer', 'factory']) {
        expect(await (await as(role)).call('POST', claim, body)).toMatchObject({
          status: 403,
          body: { code: 'forbidden' },
        });
      }
      const nobody = new OperatorClient({
        url: operator.url,
        token: `sgn_${'0'.repeat(16)}_${'A'.repeat(43)}`,
      });
      expect(await nobody.call('POST', claim, body)).toMatchObject({ status: 401 });
      expect(await operator.call('POST', claim, { fingerprint: 'f00' })).toMatchObject({
        status: 400,
        body: { code: 'invalid-input', field: 'fingerprint' },
      });
      expect(await operator.call('POST', claim, { fingerprint: '0'.repeat(64) })).toMatchObject({
        status: 404,
        body: { code: 'unknown-device' },
      });
      expect(await (await as('installer')).call('POST', claim, body)).toMatchObject({ status: 201 });
      expect(await operator.call('POST', '/v1/accounts/rival/devices', body)).toMatchObject({ status: 409 });
    });

    test('are told what is wrong with broken JSON', async () => {
      const { operator } = scene().platform.env;
      const answer = await operator.call(
        'POST',
        `/v1/accounts/${scene().account}/devices`,
        '{"fingerprint":',
      );
      expect(answer).toMatchObject({ status: 400, body: { code: 'invalid-request' } });
    });

    test('F55 F57: find in the factory log exactly the certificates that were made, no two alike', async () => {
      const account = 'factory-log';
      const path = `/v1/accounts/${account}/factory`;
      const { operator } = scene().platform.env;
      const items = Array.from({ length: 60 }, (_, i) => ({
        csr: encodePem(
          'CERTIFICATE REQUEST',
          createCsr({ subject: { commonName: `made-${i}` }, privateKey: newTestKey() }),
        ),
      }));
      type Made = { fingerprint: string; certificateSerial: string };
      const { results } = await operator.post<{ results: Made[] }>(`${path}/certificates`, { items });
      const made = results.map(({ fingerprint }) => fingerprint);
      expect(new Set(made).size).toBe(60);
      expect(new Set(results.map(({ certificateSerial }) => certificateSerial)).size).toBe(60);
      const logged: string[] = [];
      for (let cursor: string | undefined = ''; cursor !== undefined; ) {
        const page: { items: Made[]; next?: string } = await operator.get(
          `${path}/log?limit=25${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
        );
        logged.push(...page.items.map(({ fingerprint }) => fingerprint));
        cursor = page.next;
      }
      expect(logged.sort()).toEqual(made.sort());
    });
  });

  test('F75: no listener for devices speaks without TLS', async () => {
    const { est, bootstrap, gateway, mqtt, mqttProvisioning } = scene().platform.env.ports;
    const connectPacket = Buffer.from('100c00044d5154540402003c0000', 'hex');
    for (const port of [est, bootstrap, gateway, mqtt, mqttProvisioning]) {
      for (const plain of ['GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', connectPacket]) {
        const socket = connect(port, '127.0.0.1');
        const heard: Buffer[] = [];
        socket.on('data', (data: Buffer) => heard.push(data));
        socket.on('error', () => {});
        socket.write(plain);
        await once(socket, 'close');
        const answer = Buffer.concat(heard);
        expect(answer.subarray(0, 4).toString()).not.toBe('HTTP');
        expect(answer[0]).not.toBe(0x20);
      }
    }
  });
}
