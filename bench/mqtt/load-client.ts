import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { generate } from 'mqtt-packet';
import { ACCOUNT } from './account.ts';
import type { Identity } from './broker-node.ts';

const PAYLOAD = Buffer.alloc(100, 0x61);
/** QoS 1 messages of one client that are unacknowledged at a time. */
export const WINDOW = 20;

/** A publisher as lean as can be: what is measured is the broker. */
export type LoadClient = {
  /** Publishes so many at QoS 1, a window of them at a time; resolves with the last PUBACK. */
  acknowledged(count: number): Promise<void>;
  /** So many at QoS 0 and one at QoS 1 after them: its PUBACK says that the broker is through. */
  plain(count: number): Promise<void>;
  /** One at QoS 1. */
  one(): Promise<void>;
  close(): Promise<void>;
};

export async function connectDevice(
  port: number,
  anchors: string,
  device: Identity & { readonly account?: string },
): Promise<LoadClient> {
  const { account = ACCOUNT, deviceId, cert, key } = device;
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: anchors, cert, key });
  socket.setNoDelay(true);
  await once(socket, 'secureConnect');
  socket.write(
    generate({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: true,
      clientId: deviceId,
      keepalive: 600,
    }),
  );
  const [connack] = (await once(socket, 'data')) as [Buffer];
  if (connack[0] !== 0x20 || connack[3] !== 0)
    throw new Error(`${deviceId}: CONNACK ${connack.toString('hex')}`);
  return publisher(socket, `d/${account}/${deviceId}/up/x`);
}

function publisher(socket: TLSSocket, topic: string): LoadClient {
  const waiting: (() => void)[] = [];
  let partial = 0;
  // only PUBACKs come, four bytes each, in the order of the messages
  socket.on('data', (chunk: Buffer) => {
    const bytes = partial + chunk.length;
    partial = bytes % 4;
    for (let acks = Math.floor(bytes / 4); acks > 0; acks--) waiting.shift()?.();
  });
  let messageId = 0;
  const send = (): Promise<void> => {
    messageId = (messageId % 65_535) + 1;
    socket.write(publishPacket(topic, messageId));
    return new Promise((resolve) => waiting.push(resolve));
  };
  const plainPacket = publishPacket(topic, undefined);
  return {
    async acknowledged(count) {
      let left = count;
      const lane = async () => {
        while (left-- > 0) await send();
      };
      await Promise.all(Array.from({ length: WINDOW }, lane));
    },
    async plain(count) {
      for (let sent = 0; sent < count; sent++) if (!socket.write(plainPacket)) await once(socket, 'drain');
      await send();
    },
    one: send,
    async close() {
      // the broker may cut at DISCONNECT, before our side has closed
      socket.on('error', () => {});
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.end(Buffer.from([0xe0, 0]));
      if (!socket.closed) await closed;
    },
  };
}

function publishPacket(topic: string, messageId: number | undefined): Buffer {
  const common = { cmd: 'publish', topic, payload: PAYLOAD, dup: false, retain: false } as const;
  return generate(messageId === undefined ? { ...common, qos: 0 } : { ...common, qos: 1, messageId });
}
