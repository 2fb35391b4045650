import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireServer } from '@signet/tests/servers';
import { startNats } from '@signet/tests/servers/start';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningTopology, startService, startTopology } from './run-topology.ts';

const natsServer = requireServer('nats-server');
const mongo = requireServer('mongo');
const redis = requireServer('redis');

describe.skipIf([natsServer, mongo, redis].includes(''))('the compose file as six processes', () => {
  const logs: string[] = [];
  const stack = new AsyncDisposableStack();
  let topology: RunningTopology;

  beforeAll(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'signet-topology-'));
    stack.defer(() => rm(directory, { recursive: true, force: true }));
    const nats = stack.use(await startNats(natsServer, { config: join(import.meta.dirname, 'nats.conf') }));
    topology = stack.use(
      await startTopology({
        nats: nats.url,
        mongo,
        redis,
        directory,
        ports: 'free',
        environment: { SIGNET_STORE: `${mongo}topology_${process.pid}` },
        log: (service, line) => logs.push(`${service}: ${line}`),
      }),
    );
  }, 90_000);
  afterAll(() => stack.disposeAsync(), 60_000);

  test('gets ready, each service for itself', async () => {
    const states = [...topology.services].map(async ([name, { url }]) => [
      name,
      (await fetch(`${url}/ready`)).status,
    ]);
    expect(Object.fromEntries(await Promise.all(states))).toEqual({
      'admin-api': 200,
      bootstrap: 200,
      'est-ca': 200,
      'mqtt-broker': 200,
      provisioning: 200,
      'revocation-sync': 200,
    });
  });

  test('a service that was killed comes back by itself', async () => {
    const service = topology.services.get('provisioning');
    if (service === undefined) throw new Error('no provisioning');
    process.kill(service.pid, 'SIGKILL');
    await service.exited;
    await using again = await startService(service.plan, {
      environment: { SIGNET_STORE: `${mongo}topology_${process.pid}` },
    });
    expect((await fetch(`${again.url}/ready`)).status).toBe(200);
  });

  test('a service that cannot start is named with its reason, and nothing is left running', async () => {
    const failing = startTopology({
      nats: 'nats://127.0.0.1:1',
      mongo,
      redis,
      directory: join(tmpdir(), `signet-topology-wrong-${process.pid}`),
      ports: 'free',
      environment: { SIGNET_TRUST_DOMAIN: 'Not A Domain' },
    });
    await expect(failing).rejects.toThrow(
      /exited with 2\n.*\n.*SIGNET_TRUST_DOMAIN: must be a SPIFFE trust domain/,
    );
    await rm(join(tmpdir(), `signet-topology-wrong-${process.pid}`), { recursive: true, force: true });
  });
});
