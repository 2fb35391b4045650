import { once } from 'node:events';
import process from 'node:process';
import { connect } from 'node:tls';
import { generate } from 'mqtt-packet';
import type { Identity } from '../mqtt/broker-node.ts';

/** Devices that do nothing but stay connected, all in one process. */
export type Asked =
  | {
      readonly ask: 'open';
      readonly port: number;
      readonly anchors: string;
      readonly devices: readonly Identity[];
    }
  /** Each device pings; answers how many were answered within `withinMs`, and how many connections are gone. */
  | { readonly ask: 'ping'; readonly withinMs: number };

export type Pinged = { readonly held: number; readonly dropped: number };

/** Longer than the bench's pauses between two pings. */
const KEEP_ALIVE_SECONDS = 180;
const CONCURRENT_CONNECTS = 8;
/** Pings that are sent in one go. */
const BATCH = 100;

type Session = { isOpen: boolean; hasAnswered: boolean; ping(): void };
const sessions: Session[] = [];

async function open({ port, anchors: ca, devices }: Extract<Asked, { ask: 'open' }>): Promise<number> {
  const todo = devices.values();
  const worker = async () => {
    for (const device of todo) sessions.push(await openSession(port, ca, device));
  };
  await Promise.all(Array.from({ length: CONCURRENT_CONNECTS }, worker));
  return sessions.filter(({ isOpen }) => isOpen).length;
}

async function openSession(port: number, ca: string, { deviceId, cert, key }: Identity): Promise<Session> {
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca, cert, key });
  await once(socket, 'secureConnect');
  const plain = { protocolId: 'MQTT', protocolVersion: 4, clean: true } as const;
  socket.write(generate({ cmd: 'connect', ...plain, clientId: deviceId, keepalive: KEEP_ALIVE_SECONDS }));
  const [connack] = (await once(socket, 'data')) as [Buffer];
  if (connack[0] !== 0x20 || connack[3] !== 0)
    throw new Error(`${deviceId}: CONNACK ${connack.toString('hex')}`);
  const ping = generate({ cmd: 'pingreq' });
  const session: Session = {
    isOpen: true,
    hasAnswered: false,
    ping: () => void socket.write(ping),
  };
  // nothing but PINGRESPs come
  socket.on('data', () => {
    session.hasAnswered = true;
  });
  socket.on('error', () => {});
  socket.once('close', () => {
    session.isOpen = false;
  });
  return session;
}

async function ping({ withinMs }: Extract<Asked, { ask: 'ping' }>): Promise<Pinged> {
  const until = performance.now() + withinMs;
  for (const session of sessions) session.hasAnswered = false;
  for (let at = 0; at < sessions.length; at += BATCH) {
    for (const session of sessions.slice(at, at + BATCH)) if (session.isOpen) session.ping();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const count = () => ({
    held: sessions.filter(({ isOpen, hasAnswered }) => isOpen && hasAnswered).length,
    dropped: sessions.filter(({ isOpen }) => !isOpen).length,
  });
  let pinged = count();
  while (pinged.held + pinged.dropped < sessions.length && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    pinged = count();
  }
  return pinged;
}

const answers = { open, ping };
process.on('message', (asked: Asked) => {
  (answers[asked.ask] as (asked: Asked) => Promise<unknown>)(asked).then(
    (value) => process.send?.({ value }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
process.send?.({ value: true });
