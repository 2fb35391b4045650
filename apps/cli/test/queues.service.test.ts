import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { applyConfig, DeviceFolder, GatewayClient, leaf, onboard, rotate } from '@signet/agent';
import type { EventQueueState, SignetEvent } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { signedHeaders } from '@signet/service';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Terminal } from './signet.ts';

/** Every command is a process of its own. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

type Sent = { readonly event: SignetEvent; readonly isSigned: (secret: string) => boolean };

let env: DevEnv;
let terminal: Terminal;
let url: string;
const sent: Sent[] = [];
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const message = {
      id: String(request.headers['webhook-id']),
      seconds: Number(request.headers['webhook-timestamp']),
      body,
    };
    const signature = request.headers['webhook-signature'];
    sent.push({
      event: JSON.parse(body) as SignetEvent,
      isSigned: (secret) => signedHeaders(secret, message)['webhook-signature'] === signature,
    });
    response.writeHead(204).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stack.defer(() => void server.close());
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`;
  env = stack.use(await startDevEnv({ env: { SIGNET_OUTWARD_PRIVATE: 'true' } }));
  terminal = stack.use(await Terminal.open(env));
});
afterAll(() => stack.disposeAsync());

async function signet(...args: string[]): Promise<string> {
  const { code, out, err } = await terminal.signet(...args);
  expect([code, err]).toEqual([0, '']);
  return out;
}

it('F41: DEVICE_CONFIG_APPLIED and DEVICE_PUBKEY_CHANGE of a device that rotates come on the account’s queues, pushed and pulled', async () => {
  const types = 'DEVICE_CONFIG_APPLIED,DEVICE_PUBKEY_CHANGE';
  const made = await signet('queues', 'create', 'erp', '--push', url, '--types', types, '--json');
  const { secret } = JSON.parse(made) as { secret: string };
  expect(secret).toMatch(/^whsec_/);
  expect(await signet('queues', 'create', 'mes', '--pull', '--types', types)).toMatch(/^kind +pull$/m);
  expect(await signet('queues', 'list')).toMatch(/erp[ │]+push[\s\S]+mes[ │]+pull/);

  const signed = await signet('factory', 'sign', '--new', 'q-1', '--json');
  await signet('devices', 'claim', (JSON.parse(signed) as { fingerprint: string }).fingerprint);
  const folder = new DeviceFolder(join(terminal.folder, 'q-1'));
  await onboard(folder);
  await writeFile(join(terminal.folder, 'app.toml'), 'a = 1\n');
  await signet('devices', 'config', 'set', 'q-1', 'app.toml=app.toml', '--plain');
  const gateway = new GatewayClient((await folder.bundle()) ?? expect.unreachable());
  const identity = (await folder.operational()) ?? expect.unreachable();
  const handlers = { folder: join(folder.path, 'handlers'), deadlineMs: 1000 };
  await applyConfig(folder, gateway, identity, { handlers, now: Date.now });
  const after = leaf(await rotate(folder));

  const wanted = [
    { type: 'DEVICE_CONFIG_APPLIED', account: 'acme', subject: 'q-1', data: { version: 1 } },
    { type: 'DEVICE_PUBKEY_CHANGE', subject: 'q-1', data: { newPublicKeyHash: after.publicKeyHash } },
  ];
  await vi.waitFor(() => expect(sent.map(({ event }) => event)).toMatchObject(wanted), 20_000);
  expect(sent.every(({ isSigned }) => isSigned(secret))).toBe(true);
  const pulled = (await signet('queues', 'pull', 'mes')).trim().split('\n');
  expect(pulled.map((line) => JSON.parse(line) as object)).toMatchObject(wanted);
  expect(await signet('queues', 'pull', 'mes', '--wait', '1')).toBe('');

  expect(await signet('queues', 'show', 'mes')).toMatch(/^pending +0$/m);
  const state = JSON.parse(await signet('queues', 'show', 'erp', '--json')) as EventQueueState;
  expect(state).toMatchObject({ deadLetters: 0, lastDelivered: { eventId: sent[1]?.event.id } });
  expect(await signet('queues', 'delete', 'erp')).toBe('queue erp is deleted\n');
  const gone = await terminal.signet('queues', 'show', 'erp');
  expect([gone.code, gone.err]).toEqual([1, expect.stringMatching(/^signet: unknown-queue: /)]);
});
