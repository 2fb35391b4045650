import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type OwnAttack, type OwnTarget, until } from '../attack.ts';
import { clientHello, connectFrom, connectSecurely, drip, type Peer } from '../peers.ts';

type Protocol = 'https' | 'http' | 'mqtts';
type Listener = { readonly name: string; readonly port: number; readonly protocol: Protocol };

const DEADLINE_SECONDS = 3;
const PER_ADDRESS = 40;
const IN_ALL = 60;
const FLOOD = 200;
const ATTACKER = '127.0.0.2';
const DEVICE = '127.0.0.3';

const REQUEST = Buffer.from('GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n');
const BODY = Buffer.from('POST /none HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n');
const CONNECT = Buffer.from('101000044d51545404020000000464657631', 'hex');

/** Peers that connect and then stay silent, or nearly so, at every listener of the platform. */
export const attack: OwnAttack = {
  number: 4,
  title: 'a peer that does not finish what it begins is closed, and shuts nobody else out, at every listener',
  tries: 'silent and dripping connections from one address occupy every listener',
  platform: {
    environment: {
      SIGNET_HANDSHAKE_SECONDS: String(DEADLINE_SECONDS),
      SIGNET_FIRST_REQUEST_SECONDS: String(DEADLINE_SECONDS),
      SIGNET_UNFINISHED_PER_ADDRESS: String(PER_ADDRESS),
      SIGNET_UNFINISHED_CONNECTIONS: String(IN_ALL),
    },
  },
  async run(target) {
    const hello = await clientHello();
    const listeners = listenersOf(target);
    await Promise.all(
      listeners.map(async (listener) => {
        for (const [what, peer] of await idlers(target, listener, hello))
          await closedInTime(peer, `${listener.name}: ${what}`);
      }),
    );
    for (const listener of listeners) await flood(target, listener);
    await dropsAreCounted(target, listeners);
  },
};

function listenersOf({ ports }: OwnTarget): Listener[] {
  return [
    { name: 'est', port: ports.est, protocol: 'https' },
    { name: 'bootstrap', port: ports.bootstrap, protocol: 'https' },
    { name: 'gateway', port: ports.gateway, protocol: 'https' },
    { name: 'mqtt', port: ports.mqtt, protocol: 'mqtts' },
    { name: 'mqtt-provisioning', port: ports.mqttProvisioning, protocol: 'mqtts' },
    { name: 'admin', port: ports.admin, protocol: 'http' },
    { name: 'public-files', port: ports.http, protocol: 'http' },
    { name: 'health', port: ports.health, protocol: 'http' },
  ];
}

/** One peer of each kind that does not go on. */
async function idlers(
  { roots }: OwnTarget,
  { port, protocol }: Listener,
  hello: Buffer,
): Promise<[string, Peer][]> {
  const peers: [string, Peer][] = [];
  const plain = async (what: string, then: (peer: Peer) => void) => {
    const peer = await connectFrom(port, ATTACKER);
    then(peer);
    peers.push([what, peer]);
  };
  const first = protocol === 'mqtts' ? CONNECT : REQUEST;
  const opening = protocol === 'http' ? REQUEST : hello;
  await plain('silent', () => {});
  await plain('one byte', ({ socket }) => socket.write(opening.subarray(0, 1)));
  await plain('half of its first flight', ({ socket }) =>
    socket.write(opening.subarray(0, opening.length / 2)),
  );
  await plain('its first flight in drops', (peer) => drip(peer, opening));
  if (protocol === 'http') return peers;
  const secure = async (what: string, then: (peer: Peer) => void) => {
    const peer = await connectSecurely(port, ATTACKER, roots);
    then(peer);
    peers.push([what, peer]);
  };
  await secure('silent after the handshake', () => {});
  await secure('half of its first request', ({ socket }) =>
    socket.write(first.subarray(0, first.length / 2)),
  );
  await secure('its first request in drops', (peer) => drip(peer, first));
  return peers;
}

async function closedInTime({ socket, closed }: Peer, what: string): Promise<void> {
  let isClosed = false;
  void closed.then(() => {
    isClosed = true;
  });
  try {
    await until(() => assert(isClosed, `${what}: still open`), 60_000);
  } finally {
    socket.destroy();
  }
}

/** While one address floods, another is served; and what has asked for something is not bounded. */
async function flood(target: OwnTarget, { name, port, protocol }: Listener): Promise<void> {
  const silent = await Promise.all(Array.from({ length: FLOOD }, () => connectFrom(port, ATTACKER)));
  try {
    const open = protocol === 'http' ? connectFrom : connectSecurely;
    const device = await open(port, DEVICE, target.roots);
    device.socket.write(protocol === 'mqtts' ? CONNECT : REQUEST);
    const [answer] = (await Promise.race([
      once(device.socket, 'data'),
      device.closed.then(() => ['closed']),
    ])) as [Buffer | string];
    assert.notEqual(String(answer), 'closed', `${name}: a device was shut out by a flood of another address`);
    device.socket.destroy();
    await until(() => {
      const left = silent.filter(({ socket }) => !socket.destroyed).length;
      assert(left <= PER_ADDRESS, `${name}: ${left} silent connections of one address are held`);
    });
    if (protocol === 'http') await bodiesCount(port, name);
  } finally {
    for (const { socket } of silent) socket.destroy();
  }
}

/** A request whose body does not come is as unfinished as one whose head does not. */
async function bodiesCount(port: number, name: string): Promise<void> {
  if (name !== 'public-files') return;
  const peers = await Promise.all(Array.from({ length: 2 * PER_ADDRESS }, () => connectFrom(port, ATTACKER)));
  for (const { socket } of peers) socket.write(BODY);
  await until(() => {
    const left = peers.filter(({ socket }) => !socket.destroyed).length;
    assert(left <= PER_ADDRESS, `${name}: ${left} bodies of one address are awaited`);
  });
  for (const { socket } of peers) socket.destroy();
}

async function dropsAreCounted({ ports }: OwnTarget, listeners: readonly Listener[]): Promise<void> {
  const metrics = await (await fetch(`http://127.0.0.1:${ports.health}/metrics`)).text();
  const count = (listener: string, reason: string) =>
    Number(
      new RegExp(
        `^signet_connections_dropped_total\\{[^}]*listener="${listener}"[^}]*reason="${reason}"[^}]*\\} (\\d+)`,
        'm',
      ).exec(metrics)?.[1] ?? 0,
    );
  for (const { name } of listeners) {
    const gaveWay = count(name, 'unfinished-per-address');
    assert(gaveWay >= FLOOD - PER_ADDRESS, `${name}: ${gaveWay} are counted as having given way`);
    assert(count(name, 'request-timeout') > 0, `${name}: no late request is counted`);
  }
}
