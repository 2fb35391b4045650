import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { EVENT_STREAM } from '@signet/contracts';
import { requireServer } from '@signet/tests/servers';
import { freePort, type RunningServer, startNats } from '@signet/tests/servers/start';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { numbered } from '../../test/events.ts';
import { openNatsBus } from './open.ts';

const binary = requireServer('nats-server');
const names = ['one', 'two', 'three'] as const;

describe.skipIf(binary === '')('the bus over a cluster of three NATS servers', () => {
  const stack = new AsyncDisposableStack();
  const running = new Map<string, RunningServer>();
  let start: (name: string) => Promise<RunningServer>;

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'signet-cluster-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const ports = new Map<string, { client: number; route: number }>();
    for (const name of names) ports.set(name, { client: await freePort(), route: await freePort() });
    const routes = [...ports.values()].map(({ route }) => `nats://127.0.0.1:${route}`).join(', ');
    start = async (name) => {
      const { client, route } = ports.get(name) ?? expect.unreachable();
      const directory = join(folder, name);
      await mkdir(directory, { recursive: true });
      const config = join(folder, `${name}.conf`);
      const cluster = `cluster { name: signet, listen: "127.0.0.1:${route}", routes: [${routes}] }`;
      await writeFile(config, `server_name: ${name}\n${cluster}\n`);
      const server = await startNats(binary, { port: client, directory, config });
      running.set(name, server);
      return server;
    };
    await Promise.all(names.map(start));
    stack.defer(async () => {
      await Promise.all([...running.values()].map((server) => server.stop()));
    });
  });
  afterAll(() => stack.disposeAsync());

  it('is not ready while the only copy of a stream is lost, says which, and is ready once it is back', async () => {
    const urls = [...running.values()].map(({ url }) => url);
    await using bus = await openNatsBus({ url: urls.join(','), name: 'over-three' });
    // a cluster elects who leads it, first
    await bus.publish([numbered('dev-1', 1)], { signal: AbortSignal.timeout(30_000) });
    await vi.waitFor(() => expect(bus.failure()).toBeUndefined(), 30_000);

    const connection = await connect({ servers: urls });
    stack.defer(() => connection.close());
    const { cluster } = await (await jetstreamManager(connection)).streams.info(EVENT_STREAM);
    const holder = cluster?.leader ?? expect.unreachable();
    const server = running.get(holder) ?? expect.unreachable();
    process.kill(server.pid, 'SIGKILL');
    await server.exited;

    await vi.waitFor(() => expect(bus.failure()).toContain(`stream ${EVENT_STREAM}`), 60_000);
    await start(holder);
    await vi.waitFor(() => expect(bus.failure()).toBeUndefined(), 60_000);
    await bus.publish([numbered('dev-1', 2)], { signal: AbortSignal.timeout(30_000) });
  }, 180_000);
});
