import { connect, type TLSSocket } from 'node:tls';
import type { TestIdentity } from '@signet/pki/testing';
import { generate } from 'mqtt-packet';
import type { BrokerFixture } from './fixture.ts';

/** A TLS connection on which nothing has been said yet. */
export async function openRaw(
  broker: BrokerFixture,
  identity: TestIdentity,
  port = broker.port,
): Promise<TLSSocket> {
  const socket = connect({
    host: '127.0.0.1',
    port,
    ca: broker.fixture.pki.trustAnchors,
    cert: identity.cert,
    key: identity.key,
  });
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  return socket;
}

export function connectPacket(clientId: string, more: object = {}): Buffer {
  const plain = { protocolId: 'MQTT', protocolVersion: 4, clean: true, keepalive: 60 } as const;
  return generate({ cmd: 'connect', ...plain, clientId, ...more });
}

/** All that comes until the connection ends. */
export function answerOn(socket: TLSSocket): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.once('close', () => resolve(Buffer.concat(chunks)));
  });
}
