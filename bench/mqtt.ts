import { readFileSync } from 'node:fs';
import { bringTool } from '@signet/tests/servers/bring-tool';
import { startNats, startRedis } from '@signet/tests/servers/start';
import { type Child, startChild } from './est/child.ts';
import type { Asked as NodeAsked, Pki } from './mqtt/broker-node.ts';
import type { Asked as LoadAsked } from './mqtt/load.ts';
import { startMosquitto } from './mqtt/mosquitto.ts';

const CONNECTS = 400;
/** Connects after which a process runs as it will for long. */
const WARM = 800;
const IDLE = 3000;
const PUBLISHERS = 20;
const MESSAGES = { 0: 10_000, 1: 1000 } as const;
const PACED_SECONDS = 5;

/** CPU of user and system, ms; resident memory, KB: of a process and its threads. */
type Usage = { readonly cpuMs: number; readonly rssKb: number };
type Target = {
  readonly ports: readonly number[];
  usage(): Usage;
  /** Gives memory back that is only waiting to be collected. */
  collect(): Promise<void>;
};

/**
 * Our broker beside mosquitto: TLS with client certificates throughout, the same load generator, one after the other in
 * the same run. Ours stores each QoS 1 message on the bus before its PUBACK; mosquitto keeps nothing on disk. Then ours
 * again as two nodes with Redis and NATS.
 */
export async function mqtt(): Promise<object> {
  // before anything is measured
  const tools = {
    redis: bringTool('redis-server'),
    nats: bringTool('nats-server'),
    mosquitto: bringTool('mosquitto'),
  };
  using load = startChild('../mqtt/load.ts');
  await load.ask({});
  const alone = await withNodes(1, {}, async (signet, pki) => {
    const ours = await measure(load, signet, pki);
    await using server = await startMosquitto(tools.mosquitto, pki);
    const target = { ports: [server.port], usage: () => usageOf([server.pid]), collect: async () => {} };
    const theirs = await measure(load, target, pki);
    const paced = { ask: 'paced', perSecond: theirs.qos1PerSecond / 2, seconds: PACED_SECONDS } as const;
    const p99Of = (of: Target) => p99(load, of, pki, paced);
    return {
      bareTls: await measureBare(load, pki),
      signet: { ...ours, ...(await p99Of(signet)) },
      mosquitto: { ...theirs, ...(await p99Of(target)) },
      paced,
    };
  });
  await using redis = await startRedis(tools.redis);
  await using nats = await startNats(tools.nats);
  const clustered = await withNodes(
    2,
    { BENCH_BUS: nats.url, SIGNET_REDIS: redis.url },
    async (nodes, pki) => ({
      ...(await measure(load, nodes, pki)),
      ...(await p99(load, nodes, pki, alone.paced)),
    }),
  );
  const { signet, mosquitto, bareTls, paced } = alone;
  return {
    bench: 'mqtt',
    conditions: {
      messageBytes: 100,
      publishers: PUBLISHERS,
      mosquittoPersistence: false,
      signetBus: { alone: 'local (SQLite, synchronous FULL)', clustered: 'NATS JetStream (file)' },
      pacedPerSecond: Math.round(paced.perSecond),
    },
    signet,
    mosquitto,
    bareTls,
    ratios: {
      connectCpu: round(signet.connectCpuMs / mosquitto.connectCpuMs),
      qos0: round(signet.qos0PerSecond / mosquitto.qos0PerSecond),
      qos1: round(signet.qos1PerSecond / mosquitto.qos1PerSecond),
      p99: round(signet.p99Ms / mosquitto.p99Ms),
    },
    clustered,
    idleSessionKb: signet.idleSessionKb,
  };
}

async function measure(load: Child, target: Target, pki: Pki) {
  const open = (devices: Pki['devices']) =>
    load.ask<number>({ ask: 'open', ports: target.ports, anchors: pki.anchors, devices } satisfies LoadAsked);
  const close = () => load.ask({ ask: 'close' } satisfies LoadAsked);
  const connected = await measureConnections(load, target, pki);
  await open(pki.devices.slice(0, PUBLISHERS));
  const rate = async (qos: 0 | 1) => {
    const publish = { ask: 'publish', qos, perClient: MESSAGES[qos] } satisfies LoadAsked;
    await load.ask({ ...publish, perClient: 200 });
    const { seconds } = await load.ask<{ seconds: number }>(publish);
    return Math.round((PUBLISHERS * MESSAGES[qos]) / seconds);
  };
  const qos1PerSecond = await rate(1);
  const qos0PerSecond = await rate(0);
  await close();
  return { ...connected, qos0PerSecond, qos1PerSecond };
}

/** CPU of opening a connection, and memory of holding it: resident, beyond what the process holds without any. */
async function measureConnections(load: Child, target: Target, pki: Pki) {
  const open = (devices: Pki['devices']) =>
    load.ask<number>({ ask: 'open', ports: target.ports, anchors: pki.anchors, devices } satisfies LoadAsked);
  const close = () => load.ask({ ask: 'close' } satisfies LoadAsked);
  for (let warmed = 0; warmed < WARM; warmed += CONNECTS) {
    await open(pki.devices.slice(0, CONNECTS));
    await close();
  }
  const before = target.usage();
  await open(pki.devices.slice(0, CONNECTS));
  const connectCpuMs = (target.usage().cpuMs - before.cpuMs) / CONNECTS;
  await close();

  const empty = await settledRss(target);
  await open(pki.devices.slice(0, IDLE));
  const idleSessionKb = ((await settledRss(target)) - empty) / IDLE;
  await close();
  return { connectCpuMs: round(connectCpuMs), idleSessionKb: round(idleSessionKb) };
}

/** What memory is left once all has been collected and given back. */
async function settledRss(target: Target): Promise<number> {
  for (let round = 0; round < 4; round++) {
    await target.collect();
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  return target.usage().rssKb;
}

/** A TLS server of the same Node without a broker. */
async function measureBare(load: Child, pki: Pki) {
  using node = startChild('../mqtt/bare-node.ts', { execArgv: ['--expose-gc'] });
  await node.ask({});
  const port = await node.ask<number>({ server: pki.server });
  const target: Target = {
    ports: [port],
    usage: () => usageOf([node.process.pid ?? 0]),
    collect: async () => void (await node.ask({ collect: true })),
  };
  return await measureConnections(load, target, pki);
}

async function p99(load: Child, { ports }: Target, { anchors, devices }: Pki, paced: LoadAsked) {
  await load.ask({ ask: 'open', ports, anchors, devices: devices.slice(0, PUBLISHERS) } satisfies LoadAsked);
  const latency = await load.ask<{ p50: number; p99: number; perSecond: number }>(paced);
  await load.ask({ ask: 'close' } satisfies LoadAsked);
  return { p50Ms: round(latency.p50), p99Ms: round(latency.p99), atPerSecond: Math.round(latency.perSecond) };
}

async function withNodes<T>(
  count: number,
  env: Record<string, string>,
  use: (target: Target, pki: Pki) => Promise<T>,
): Promise<T> {
  using stack = new DisposableStack();
  const nodes: Child[] = [];
  const ports: number[] = [];
  for (let i = 0; i < count; i++) {
    const execArgv = ['--expose-gc'];
    const node = stack.use(
      startChild('../mqtt/broker-node.ts', {
        env: { ...env, BENCH_FIRST: i === 0 ? 'yes' : 'no' },
        execArgv,
      }),
    );
    nodes.push(node);
    ports.push(await node.ask<number>({}));
  }
  const [first] = nodes;
  if (first === undefined) throw new RangeError('count: at least one node');
  const pki = await first.ask<Pki>({ ask: 'pki', devices: IDLE } satisfies NodeAsked);
  const target: Target = {
    ports,
    usage: () => usageOf(nodes.map(({ process }) => process.pid ?? 0)),
    collect: async () => {
      for (const node of nodes) await node.ask({ ask: 'state' } satisfies NodeAsked);
    },
  };
  return await use(target, pki);
}

/** Clock ticks of Linux are a hundredth of a second. */
function usageOf(pids: readonly number[]): Usage {
  let cpuMs = 0;
  let rssKb = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    cpuMs += (Number(fields[11]) + Number(fields[12])) * 10;
    rssKb += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  }
  return { cpuMs, rssKb };
}

const round = (value: number) => Math.round(value * 100) / 100;
