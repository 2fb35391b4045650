import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import type { Bundle } from '@signet/contracts';
import { createTestPki } from '@signet/pki/testing';
import { describe, expect, it } from 'vitest';
import { openMqttSession } from '../src/index.ts';

const CONNACK = Buffer.of(0x20, 2, 0, 0);
const PINGRESP = Buffer.of(0xd0, 0);

describe('the MQTT session of a device', () => {
  it('does not wait for ever for a broker that answers CONNECT and pings, and never SUBSCRIBE', async () => {
    const pki = createTestPki();
    const { key, cert } = pki.serverIdentity(['localhost']);
    const types: number[] = [];
    await using server = createServer({ key, cert }, (socket) => {
      socket.on('error', () => {});
      socket.on('data', (packets) => {
        const type = (packets[0] ?? 0) >> 4;
        types.push(type);
        if (type === 1) socket.write(CONNACK);
        if (type === 12) socket.write(PINGRESP);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const device = pki.operational('acme', 'dev-1');
    const bundle = {
      ...{ account: 'acme', deviceId: 'dev-1', trustAnchors: [pki.trustAnchors] },
      mqtt: { url: `mqtts://localhost:${(server.address() as AddressInfo).port}`, clientId: 'dev-1' },
    } as unknown as Bundle;
    await expect(
      openMqttSession(bundle, { key: device.key, certificate: device.cert }, { answerMs: 1000 }),
    ).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringMatching(/: no SUBACK within 1 s$/),
    });
    expect(types.slice(0, 2)).toEqual([1, 8]);
  });
});
