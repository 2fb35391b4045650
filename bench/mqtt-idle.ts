import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { openTestFixture } from '@signet/service/testing';
import { bringTool } from '@signet/tests/servers/bring-tool';
import { startNats } from '@signet/tests/servers/start';
import { type Child, startChild } from './est/child.ts';
import { ACCOUNT } from './mqtt/account.ts';
import type { Identity, NodeState } from './mqtt/broker-node.ts';
import type { Asked, Pinged } from './mqtt-idle/fleet.ts';

const SESSIONS = 10_000;
const MINUTES = 10;
/** Identities that are made and connected at a time. */
const PAGE = 500;
const PING_EVERY_MS = 60_000;
/** File descriptors that a process needs beside those of its sessions. */
const OTHER_FILES = 200;

/**
 * Idle MQTT sessions with mutual TLS on one broker node, held for some minutes; each device pings once a minute. The
 * node, the devices, NATS and the platform around them are processes of their own, so memory is that of the broker
 * alone, taken after a garbage collection.
 */
export async function mqttIdle({
  sessions: count = String(SESSIONS),
  minutes: length = String(MINUTES),
}: {
  readonly sessions?: string;
  readonly minutes?: string;
}): Promise<object> {
  const [sessions, minutes] = [positive('sessions', count), positive('minutes', length)];
  await using nats = await startNats(bringTool('nats-server'));
  await using fixture = await openTestFixture({ bus: nats.url, admission: { refuseWhenStale: false } });
  using node = startChild('../mqtt/broker-node.ts', {
    env: { BENCH_BUS: nats.url, BENCH_FIRST: 'no' },
    execArgv: ['--expose-gc'],
  });
  const port = await node.ask<number>({});
  using fleet = startChild('../mqtt-idle/fleet.ts');
  await fleet.ask({});
  for (const child of [node, fleet]) requireFiles(child, sessions + OTHER_FILES);
  const ask = <T>(asked: Asked) => fleet.ask<T>(asked);
  const open = async (devices: readonly Identity[]) =>
    await ask<number>({ ask: 'open', port, anchors: fixture.pki.trustAnchors, devices });
  const page = (from: number, to: number): Identity[] =>
    Array.from({ length: Math.max(0, to - from) }, (_, i) => {
      const deviceId = `dev-${from + i}`;
      const { cert, key } = fixture.pki.operational(ACCOUNT, deviceId);
      return { deviceId, cert, key };
    });

  const warm = Math.min(100, sessions);
  let opened = await open(page(0, warm));
  const rssEmpty = await rssMb(node);
  for (let from = warm; from < sessions; from += PAGE) {
    opened = await open(page(from, Math.min(from + PAGE, sessions)));
    await ask<Pinged>({ ask: 'ping', withinMs: PING_EVERY_MS });
  }
  const rssMbStart = await rssMb(node);
  const until = performance.now() + minutes * 60_000;
  let pinged = await ask<Pinged>({ ask: 'ping', withinMs: PING_EVERY_MS });
  while (performance.now() < until) {
    await sleep(Math.max(0, Math.min(PING_EVERY_MS, until - performance.now())));
    pinged = await ask<Pinged>({ ask: 'ping', withinMs: PING_EVERY_MS });
  }
  const rssMbEnd = await rssMb(node);
  const { connections } = await node.ask<NodeState>({ ask: 'state' });
  return {
    bench: 'mqtt-idle',
    sessions: opened,
    minutes,
    held: Math.min(pinged.held, connections),
    dropped: pinged.dropped,
    rssMbStart: round(rssMbStart),
    rssMbEnd: round(rssMbEnd),
    kbPerSession: round(((rssMbStart - rssEmpty) * 1024) / (sessions - warm)),
  };
}

/** @throws Error that says what to raise */
function requireFiles({ process: { pid } }: Child, wanted: number): void {
  // Node has raised its soft limit to the hard one
  const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
  const [, soft = '0'] = /^Max open files\s+(\S+)/m.exec(limits) ?? [];
  if (soft !== 'unlimited' && Number(soft) < wanted)
    throw new Error(`open files: ${soft} allowed, ${wanted} needed; raise the hard limit (ulimit -Hn)`);
}

/** Resident memory after a garbage collection. */
async function rssMb(node: Child): Promise<number> {
  await node.ask({ ask: 'state' });
  const status = readFileSync(`/proc/${node.process.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

function positive(name: string, value: string): number {
  const number = Number(value);
  if (!(number > 0)) throw new RangeError(`--${name}: must be a number above 0`);
  return number;
}

const round = (value: number) => Math.round(value * 10) / 10;
