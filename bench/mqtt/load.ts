import process from 'node:process';
import type { Identity } from './broker-node.ts';
import { connectDevice, type LoadClient, WINDOW } from './load-client.ts';

/** The load generator, in a process of its own. */
export type Asked =
  /** Connects one client for each identity, spread over the ports. Answers when all have their CONNACK. */
  | {
      readonly ask: 'open';
      readonly ports: readonly number[];
      readonly anchors: string;
      readonly devices: readonly Identity[];
    }
  | { readonly ask: 'close' }
  /** Each client publishes so many; answers `{seconds}` when the broker is done with all. */
  | { readonly ask: 'publish'; readonly qos: 0 | 1; readonly perClient: number }
  /** QoS 1 at a set rate over all clients; answers `{p50, p99}`, ms from PUBLISH to PUBACK, and the rate that the broker kept up with. */
  | { readonly ask: 'paced'; readonly perSecond: number; readonly seconds: number };

const CONCURRENT_CONNECTS = 8;
let clients: LoadClient[] = [];

async function open({ ports, anchors, devices }: Extract<Asked, { ask: 'open' }>): Promise<number> {
  const opened: LoadClient[] = [];
  const todo = devices.entries();
  const worker = async () => {
    for (const [i, device] of todo)
      opened.push(await connectDevice(ports[i % ports.length] ?? 0, anchors, device));
  };
  await Promise.all(Array.from({ length: CONCURRENT_CONNECTS }, worker));
  clients = clients.concat(opened);
  return opened.length;
}

async function publish({ qos, perClient }: Extract<Asked, { ask: 'publish' }>): Promise<{ seconds: number }> {
  const start = performance.now();
  await Promise.all(
    clients.map((client) => (qos === 1 ? client.acknowledged(perClient) : client.plain(perClient))),
  );
  return { seconds: (performance.now() - start) / 1000 };
}

async function paced({ perSecond, seconds }: Extract<Asked, { ask: 'paced' }>) {
  const latencies: number[] = [];
  const pending = new Set<Promise<void>>();
  const most = clients.length * WINDOW;
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  let sent = 0;
  while (elapsed() < seconds) {
    const due = elapsed() * perSecond;
    while (sent < due && pending.size < most) {
      const client = clients[sent++ % clients.length];
      if (client === undefined) throw new Error('nobody is connected');
      const at = performance.now();
      const answered = client.one().then(() => {
        latencies.push(performance.now() - at);
        pending.delete(answered);
      });
      pending.add(answered);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(pending);
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), perSecond: sent / seconds };
}

const answers = {
  open,
  publish,
  paced,
  async close() {
    await Promise.all(clients.map((client) => client.close()));
    clients = [];
    return true;
  },
};
process.on('message', (asked: Asked) => {
  (answers[asked.ask] as (asked: Asked) => Promise<unknown>)(asked).then(
    (value) => process.send?.({ value }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
process.send?.({ value: true });
