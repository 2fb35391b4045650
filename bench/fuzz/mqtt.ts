import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { startChild } from '../est/child.ts';
import type { Asked, Identity, NodeState, Pki } from '../mqtt/broker-node.ts';
import { connectDevice } from '../mqtt/load-client.ts';
import { Finding } from './finding.ts';
import { mqttSeeds } from './mqtt-seeds.ts';
import { mutate, type Random, seededRandom } from './mutate.ts';

const CONNECTIONS = 20;
const PACKETS = 12;
/** What a round may leave on the heap before it counts as a leak, once the first rounds have warmed it. */
const LEAK_BYTES = 24 * 1024 * 1024;
const WARM_ROUNDS = 5;

/**
 * Malformed MQTT packets of a device whose certificate is good, for so many seconds. After each round a witness must be
 * served, nobody else's topics may have been published to, and connections and memory must be what they were.
 * @throws Finding at the first fault, with the seed
 */
export async function fuzzMqtt(seconds: number, seed: number): Promise<object> {
  const random = seededRandom(seed);
  using node = startChild('../mqtt/broker-node.ts', {
    env: { BENCH_WATCH: 'yes', SIGNET_MQTT_STORE_SECONDS: '30' },
    execArgv: ['--expose-gc'],
  });
  const port = await node.ask<number>({});
  const { anchors, devices } = await node.ask<Pki>({ ask: 'pki', devices: 2 } satisfies Asked);
  const [fuzzed, known] = devices as [Identity, Identity];
  const witness = await connectDevice(port, anchors, known);
  const told = { rounds: 0, connections: 0, packets: 0, accepted: 0, heapMb: 0 };
  const fault = (what: string): never => {
    throw new Finding(`${what} (seed ${seed}, round ${told.rounds})`);
  };
  let warmHeap = 0;
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    told.rounds++;
    const answers = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => harass(port, anchors, fuzzed, random)),
    );
    told.connections += answers.length;
    told.packets += answers.length * PACKETS;
    told.accepted += answers.filter(({ isConnected }) => isConnected).length;
    if (node.process.exitCode !== null) fault('the broker ended');
    await within(10_000, witness.one(), () => fault('the witness is not served'));
    const state = await settled(() => node.ask<NodeState>({ ask: 'state' } satisfies Asked));
    if (state.connections !== 1) fault(`${state.connections - 1} connections are left`);
    const foreign = state.publishers.filter((name) => !['bench.dev-0', 'bench.dev-1'].includes(name));
    if (foreign.length > 0) fault(`published as ${foreign.join(', ')}`);
    if (told.rounds === WARM_ROUNDS) warmHeap = state.heapBytes;
    if (told.rounds > WARM_ROUNDS && state.heapBytes - warmHeap > LEAK_BYTES)
      fault('memory is not given back');
    told.heapMb = Math.round(state.heapBytes / 1024 / 1024);
  }
  await witness.close();
  return { fuzz: 'mqtt', seed, ...told };
}

/** One connection: CONNECT and packets, some of them malformed, in pieces of any size; then the connection is cut. */
async function harass(port: number, anchors: string, device: Identity, random: Random) {
  const { packets, connects } = mqttSeeds;
  const pick = (list: readonly Buffer[]) => list[random(list.length)] as Buffer;
  const malformed = (list: readonly Buffer[]) =>
    random(3) === 0 ? mutate(pick(list), pick(packets), random) : new Uint8Array(pick(list));
  const stream = Buffer.concat([
    random(4) === 0 ? malformed(connects) : pick(connects),
    ...Array.from({ length: PACKETS }, () => malformed(packets)),
  ]);
  const { cert, key } = device;
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: anchors, cert, key });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {});
  let isConnected = false;
  socket.on('data', (chunk: Buffer) => {
    isConnected ||= chunk[0] === 0x20 && chunk[3] === 0;
  });
  await Promise.race([once(socket, 'secureConnect').catch(() => {}), closed]);
  await sendInPieces(socket, stream, random);
  socket.end();
  const cut = setTimeout(() => socket.destroy(), 1000);
  await closed;
  clearTimeout(cut);
  return { isConnected };
}

async function sendInPieces(socket: TLSSocket, stream: Buffer, random: Random): Promise<void> {
  for (let sent = 0; sent < stream.length && socket.writable; ) {
    const piece = 1 + random(stream.length);
    socket.write(stream.subarray(sent, sent + piece));
    sent += piece;
    await new Promise(setImmediate);
  }
}

/** What is on its way out may take a moment to be gone. */
async function settled(read: () => Promise<NodeState>): Promise<NodeState> {
  const late = performance.now() + 10_000;
  for (;;) {
    const state = await read();
    if (state.connections === 1 || performance.now() > late) return state;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function within(ms: number, done: Promise<void>, late: () => never): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => resolve('late'), ms);
  if ((await Promise.race([done, promise])) === 'late') late();
  clearTimeout(timer);
}
