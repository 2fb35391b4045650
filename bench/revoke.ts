import { bringTool } from '@signet/tests/servers/bring-tool';
import { startNats } from '@signet/tests/servers/start';
import { type Child, startChild } from './est/child.ts';
import type { NodeState, Pki } from './mqtt/broker-node.ts';
import type { Asked as AuthorityAsked, Started } from './revoke/authority.ts';
import type { Asked } from './revoke/fleet.ts';

const SESSIONS = 2000;
const NODES = 2;
const SINGLY = 200;
const GROUP = 1000;
const SETTLE_MS = 3000;

/**
 * Live mTLS sessions of MQTT on two broker nodes, real NATS between them and the deny list's authority, each in a process
 * of its own: 200 devices are denied by one call of the API each, then 1,000 by a single call. Ms are from the call to
 * the closed socket at the client; bystanders are counted at the clients, three seconds later.
 */
export async function revoke(): Promise<object> {
  using stack = new DisposableStack();
  await using nats = await startNats(bringTool('nats-server'));
  const env = { BENCH_BUS: nats.url, BENCH_FIRST: 'no' };
  const authority = stack.use(startChild('../revoke/authority.ts', { env }));
  const api = await authority.ask<Started>({});
  const pki = await authority.ask<Pki>({ ask: 'pki', devices: SESSIONS } satisfies AuthorityAsked);
  const nodes: Child[] = [];
  const ports: number[] = [];
  for (let i = 0; i < NODES; i++) {
    const node = stack.use(startChild('../mqtt/broker-node.ts', { env }));
    nodes.push(node);
    ports.push(await node.ask<number>({}));
  }
  const fleet = stack.use(startChild('../revoke/fleet.ts'));
  await fleet.ask({});
  const ask = <T>(asked: Asked) => fleet.ask<T>(asked);
  const sessions = await ask<number>({
    ...{ ask: 'open', ports, api },
    ...{ anchors: pki.anchors, devices: pki.devices },
  });
  const states = await Promise.all(nodes.map((node) => node.ask<NodeState>({ ask: 'state' })));
  const perNode = states.map(({ connections }) => connections);
  const ids = pki.devices.map(({ deviceId }) => deviceId);
  const single = await ask<number[]>({ ask: 'singly', deviceIds: ids.slice(0, SINGLY) });
  const group = await ask<number[]>({ ask: 'group', deviceIds: ids.slice(SINGLY, SINGLY + GROUP) });
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const left = await ask<number>({ ask: 'count' });
  return {
    bench: 'revoke',
    sessions,
    nodes: perNode.filter((count) => count > 0).length,
    single: { p50: at(single, 0.5), p99: at(single, 0.99), max: at(single, 1) },
    group: { devices: GROUP, first: at(group, 0), p50: at(group, 0.5), last: at(group, 1) },
    bystandersCut: sessions - SINGLY - GROUP - left,
  };
}

function at(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return Math.round(value * 10) / 10;
}
