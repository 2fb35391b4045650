import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DevEnv, type ServiceName, startDevEnv } from '@signet/dev-env';
import { requireServer } from '@signet/tests/servers';
import { startNats } from '@signet/tests/servers/start';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { leaf, type RunEvent } from '../src/index.ts';
import { TestFactory } from './devices.ts';
import { Running } from './running.ts';

const DAY = 86_400_000;
const DEVICE_SIDE: readonly ServiceName[] = ['mqtt-broker', 'provisioning', 'est-ca', 'bootstrap'];

// The platform lives half a year ago, and ends in the present: OpenSSL, which verifies the servers, knows no other time.
let ahead = -181 * DAY;
const now = () => Date.now() + ahead;
const binary = requireServer('nats-server');
let env: DevEnv;
let factory: TestFactory;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  if (binary === '') return;
  const root = await mkdtemp(join(tmpdir(), 'signet-offline-'));
  stack.defer(() => rm(root, { recursive: true, force: true }));
  const { url: bus } = stack.use(await startNats(binary, { directory: root }));
  env = stack.use(
    await startDevEnv({
      now,
      engines: { store: `sqlite:${join(root, 'signet.db')}`, bus },
      env: { SIGNET_EST_SERVER_VALIDITY_DAYS: '398' },
    }),
  );
  factory = stack.use(await TestFactory.open(env));
  await env.operator.put('/v1/accounts/acme/profiles/default', { settings: { expiredGraceDays: 120 } });
});
afterAll(() => stack.disposeAsync());

const reasonOf = (event: RunEvent) => (event.step === 'retrying' ? event.reason : '');

/** Has the workload send so many messages; resolves with the number of the last. */
async function hands(workload: ChildProcess, count: number): Promise<number> {
  workload.send(count);
  const [last] = await once(workload, 'message');
  return last as number;
}

it.skipIf(binary === '')(
  'F10: 90 days past the end of the certificate the workload is the same process, and all it said arrives after the renewal',
  async () => {
    const made = await factory.claimed('far-away');
    const heard: number[] = [];
    await using _listening = await env.deps.bus.listen(
      'signet.mqtt.acme.far-away.up.measured',
      ({ payload }) => void heard.push(Number(Buffer.from(payload).toString())),
    );
    await using agent = new Running(made, { now });
    await agent.until('connected');
    const first = leaf((await made.folder.operational()) ?? expect.unreachable());
    const workload = fork(join(import.meta.dirname, 'messages-workload.ts'), [
      join(made.folder.path, 'messages.sock'),
    ]);
    const { pid } = workload;
    try {
      await hands(workload, 5);
      await vi.waitFor(() => expect(heard).toHaveLength(5), 20_000);

      for (const name of DEVICE_SIDE) await env.stop(name);
      await agent.until('retrying');
      await hands(workload, 20);
      ahead += 85 * DAY;
      await hands(workload, 20);
      // 90 days of validity, and 90 more
      ahead += 96 * DAY;
      expect(now() - first.notAfter).toBeGreaterThan(90 * DAY);
      const last = await hands(workload, 20);
      expect(heard).toHaveLength(5);
      // EST alone cannot announce the new key, and says so: no reason for the agent to give up
      await env.start('est-ca');
      await vi.waitFor(
        () => expect(agent.events.map(reasonOf)).toContainEqual(expect.stringContaining(' 503 ')),
        20_000,
      );
      for (const name of ['bootstrap', 'provisioning', 'mqtt-broker'] as const) await env.start(name);

      await agent.until('connected', 2);
      await vi.waitFor(() => expect(heard.length).toBeGreaterThanOrEqual(last), 20_000);
      const end = await hands(workload, 5);
      await vi.waitFor(() => expect(heard.at(-1)).toBe(end), 20_000);
      expect(heard).toEqual(Array.from({ length: end }, (_, i) => i + 1));
      expect([workload.pid, workload.exitCode]).toEqual([pid, null]);
    } finally {
      workload.disconnect();
    }
    const second = leaf((await made.folder.operational()) ?? expect.unreachable());
    expect(second.publicKeyHash).not.toBe(first.publicKeyHash);
    expect(second.notAfter).toBeGreaterThan(now());
    expect(agent.count('handed-over')).toBe(1);
    const renewed = await env.events.find('CERT_RENEWED', ({ subject }) => subject === 'far-away');
    expect(renewed.data.serialNumber).toBe(second.serialNumber);
  },
);
