import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { applyConfig, DeviceFolder, GatewayClient, leaf, onboard, rotate } from '@signet/agent';
import { EVENT_STREAM, type FactoryResult } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { createCsrBy, encodePem } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { startNats } from '@signet/tests/servers/start';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

const binary = requireServer('nats-server');
type Heard = { readonly type: string; readonly subject: string; readonly data: Record<string, unknown> };

describe.skipIf(binary === '')('events of rotations and configs, downstream', () => {
  const stack = new AsyncDisposableStack();
  let env: DevEnv;
  let nats: NatsConnection;
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'signet-e2e-queues-'));
    stack.defer(() => rm(root, { recursive: true, force: true }));
    const { url } = stack.use(await startNats(binary, { directory: root }));
    const store = `sqlite:${join(root, 'signet.db')}`;
    env = stack.use(await startDevEnv({ engines: { store, bus: url } }));
    nats = await connect({ servers: url });
    stack.defer(() => nats.close());
  });
  afterAll(() => stack.disposeAsync());

  /** A device made and onboarded by the agent. */
  async function onboarded(id: string): Promise<DeviceFolder> {
    const folder = new DeviceFolder(join(root, id));
    const key = await folder.keys.create();
    const csr = encodePem(
      'CERTIFICATE REQUEST',
      await createCsrBy(folder.keys.signer(key), { subject: { commonName: id } }),
    );
    const { results } = await env.operator.post<{ results: FactoryResult[] }>(
      '/v1/accounts/default/factory/certificates',
      { items: [{ csr }] },
    );
    const [signed] = results;
    if (signed?.fingerprint === undefined) expect.unreachable();
    const certificate = [signed.certificate, ...signed.chain.slice(0, -1)].join('');
    const url = `https://localhost:${env.ports.bootstrap}`;
    await folder.putFactoryFiles({ key, certificate, trust: signed.chain.at(-1) ?? '', url });
    await env.operator.post('/v1/accounts/default/devices', { fingerprint: signed.fingerprint });
    await onboard(folder);
    return folder;
  }

  test('F41: DEVICE_CONFIG_APPLIED and DEVICE_PUBKEY_CHANGE are on the event queue: pulled by a durable consumer, pushed by the stream, and told by server-sent events', async () => {
    const subjects = ['DEVICE_CONFIG_APPLIED', 'DEVICE_PUBKEY_CHANGE'].map(
      (type) => `signet.event.default.*.${type}.*`,
    );
    const manager = await jetstreamManager(nats);
    const pushed: Heard[] = [];
    nats.subscribe('downstream.inbox', { callback: (_, message) => void pushed.push(message.json<Heard>()) });
    await manager.consumers.add(EVENT_STREAM, {
      ...{ durable_name: 'pulls', ack_policy: 'explicit', filter_subjects: subjects },
    });
    await manager.consumers.add(EVENT_STREAM, {
      ...{ durable_name: 'is-pushed', ack_policy: 'none', filter_subjects: subjects },
      deliver_subject: 'downstream.inbox',
    });

    const folder = await onboarded('queued-1');
    const before = leaf((await folder.operational()) ?? expect.unreachable());
    const { version } = await env.operator.put<{ version: number }>(
      '/v1/accounts/default/devices/queued-1/config',
      {
        files: [{ name: 'app.toml', value: 'a = 1', unencrypted: true }],
      },
    );
    const gateway = new GatewayClient((await folder.bundle()) ?? expect.unreachable());
    const handlers = { folder: join(folder.path, 'handlers'), deadlineMs: 1000 };
    const identity = (await folder.operational()) ?? expect.unreachable();
    await applyConfig(folder, gateway, identity, { handlers, now: Date.now });
    const after = leaf(await rotate(folder));

    const wanted = [
      { type: 'DEVICE_CONFIG_APPLIED', subject: 'queued-1', data: { deviceId: 'queued-1', version } },
      {
        ...{ type: 'DEVICE_PUBKEY_CHANGE', subject: 'queued-1' },
        data: {
          ...{ oldPublicKeyHash: before.publicKeyHash, newPublicKeyHash: after.publicKeyHash },
          ...{
            OldPubKey: encodePem('PUBLIC KEY', before.spkiDer),
            NewPubKey: encodePem('PUBLIC KEY', after.spkiDer),
          },
        },
      },
    ];
    const consumer = await jetstream(nats).consumers.get(EVENT_STREAM, 'pulls');
    const pulled: Heard[] = [];
    for await (const message of await consumer.fetch({ max_messages: 2, expires: 20_000 })) {
      pulled.push(message.json<Heard>());
      await message.ackAck();
    }
    expect(pulled).toMatchObject(wanted);
    await vi.waitFor(() => expect(pushed).toMatchObject(wanted), 20_000);
    for (const { type, data } of wanted) {
      const told = await env.events.find(
        type as 'DEVICE_PUBKEY_CHANGE',
        ({ subject }) => subject === 'queued-1',
      );
      expect(told.data).toMatchObject(data);
    }
    // what was acknowledged does not come again
    expect((await consumer.info()).num_pending).toBe(0);
  });
});
