import { once } from 'node:events';
import process from 'node:process';
import { connect } from 'node:tls';
import { generate } from 'mqtt-packet';
import { ACCOUNT } from '../mqtt/account.ts';
import type { Identity } from '../mqtt/broker-node.ts';

/** The devices, and the operator who revokes them, in one process: both are timed by one clock. */
export type Asked =
  | {
      readonly ask: 'open';
      readonly ports: readonly number[];
      readonly anchors: string;
      readonly devices: readonly Identity[];
      readonly api: { readonly url: string; readonly token: string };
    }
  /** One call for each device, one after the other; answers ms from call to closed socket. */
  | { readonly ask: 'singly'; readonly deviceIds: readonly string[] }
  /** One call for all; answers the same, for each. */
  | { readonly ask: 'group'; readonly deviceIds: readonly string[] }
  /** Answers how many sessions are open. */
  | { readonly ask: 'count' };

const CONCURRENT_CONNECTS = 16;
const PATH = `/v1/accounts/${ACCOUNT}/denylist/devices`;

type Session = { isOpen: boolean; readonly closed: Promise<number> };
const sessions = new Map<string, Session>();
let api = { url: '', token: '' };

async function open(asked: Extract<Asked, { ask: 'open' }>): Promise<number> {
  api = asked.api;
  const todo = asked.devices.entries();
  const worker = async () => {
    for (const [i, device] of todo)
      sessions.set(
        device.deviceId,
        await openSession(asked.ports[i % asked.ports.length] ?? 0, asked.anchors, device),
      );
  };
  await Promise.all(Array.from({ length: CONCURRENT_CONNECTS }, worker));
  return count();
}

async function openSession(port: number, ca: string, device: Identity): Promise<Session> {
  const { deviceId, cert, key } = device;
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca, cert, key });
  await once(socket, 'secureConnect');
  socket.write(
    generate({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true },
      ...{ clientId: deviceId, keepalive: 1200 },
    }),
  );
  const [connack] = (await once(socket, 'data')) as [Buffer];
  if (connack[0] !== 0x20 || connack[3] !== 0)
    throw new Error(`${deviceId}: CONNACK ${connack.toString('hex')}`);
  const { promise, resolve } = Promise.withResolvers<number>();
  const session: Session = { isOpen: true, closed: promise };
  socket.on('error', () => {});
  socket.once('close', () => {
    session.isOpen = false;
    resolve(performance.now());
  });
  return session;
}

function count(): number {
  return [...sessions.values()].filter(({ isOpen }) => isOpen).length;
}

async function revoke(deviceIds: readonly string[]): Promise<number[]> {
  const start = performance.now();
  const answered = fetch(new URL(PATH, api.url), {
    method: 'POST',
    headers: { authorization: `Bearer ${api.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ devices: { deviceIds }, reason: 'bench' }),
  });
  const ends = await Promise.all(deviceIds.map((id) => sessions.get(id)?.closed ?? Number.NaN));
  const { status } = await answered;
  if (status !== 200) throw new Error(`the API answered ${status}`);
  return ends.map((end) => end - start);
}

const answers = {
  open,
  count: async () => count(),
  async singly({ deviceIds }: Extract<Asked, { ask: 'singly' }>) {
    const took: number[] = [];
    for (const id of deviceIds) took.push(...(await revoke([id])));
    return took;
  },
  group: ({ deviceIds }: Extract<Asked, { ask: 'group' }>) => revoke(deviceIds),
};
process.on('message', (asked: Asked) => {
  (answers[asked.ask] as (asked: Asked) => Promise<unknown>)(asked).then(
    (value) => process.send?.({ value }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
process.send?.({ value: true });
