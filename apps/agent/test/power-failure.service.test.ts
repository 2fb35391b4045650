import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { getDeviceKeys } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { encryptConfigValue } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  AgentError,
  applyConfig,
  DeviceFolder,
  GatewayClient,
  leaf,
  onboard,
  openMqttSession,
  plainValue,
  rotate,
} from '../src/index.ts';
import { type Made, TestFactory } from './devices.ts';

vi.setConfig({ testTimeout: 600_000, hookTimeout: 60_000 });

let env: DevEnv;
let factory: TestFactory;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  factory = stack.use(await TestFactory.open(env));
});
afterAll(() => stack.disposeAsync());

const SECRET = 'what only the device can read';
const AT_A_TIME = 3;

type Before = Made & { readonly oldKey: string; readonly oldHash: string };

/** A device that has enrolled, with a secret in its own config and in its folder. */
async function ready(id: string): Promise<Before> {
  const made = await factory.claimed(id);
  const identity = await onboard(made.folder);
  const { spkiDer } = leaf(identity);
  const value = encryptConfigValue(spkiDer, Buffer.from(SECRET));
  await env.operator.put(`/v1/accounts/acme/devices/${id}/config`, {
    files: [{ name: 'secret', value }],
  });
  const bundle = (await made.folder.bundle()) ?? expect.unreachable();
  const rules = { folder: join(made.folder.path, 'handlers'), deadlineMs: 1000 };
  await applyConfig(made.folder, new GatewayClient(bundle), identity, { handlers: rules, now: Date.now });
  return asItIs(made);
}

/** A device whose last rotation is through may be the one of the next, with the key that it has by then. */
async function asItIs({ id, folder, fingerprint }: Made): Promise<Before> {
  const identity = (await folder.operational()) ?? expect.unreachable();
  return { id, folder, fingerprint, oldKey: identity.key.trim(), oldHash: leaf(identity).publicKeyHash };
}

/** A client outside the agent, with whatever identity lies in the folder. */
async function connectsAnew({ folder }: Made): Promise<void> {
  const [bundle, identity] = await Promise.all([folder.bundle(), folder.operational()]);
  if (bundle === undefined || identity === undefined) expect.unreachable();
  await using session = await openMqttSession(bundle, identity);
  await session.publish(['alive'], 'yes');
}

/** What must hold when a rotation is through, however often it was cut. */
async function rotated({ folder, id, oldKey, oldHash }: Before): Promise<void> {
  const identity = (await folder.operational()) ?? expect.unreachable();
  const { publicKeyHash } = leaf(identity);
  expect(publicKeyHash).not.toBe(oldHash);
  expect((await folder.rotation())?.step).toBe('completed');
  const bundle = (await folder.bundle()) ?? expect.unreachable();
  const gateway = new GatewayClient(bundle);
  const [kept, own] = [await folder.config(), await gateway.ownConfig(identity)];
  for (const body of [kept?.body, own]) {
    const entry = body?.secret ?? expect.unreachable();
    expect((await plainValue('secret', entry, identity)).toString()).toBe(SECRET);
  }
  expect(kept?.next).toBeUndefined();
  for (const name of await readdir(folder.path, { recursive: true, withFileTypes: true })) {
    if (!name.isFile()) continue;
    const text = await readFile(join(name.parentPath, name.name), 'utf8');
    expect(text.includes(oldKey), `${name.name} has the old key`).toBe(false);
  }
  const left = (await readdir(folder.path)).filter((name) => /^(next|pending)\./.test(name));
  expect(left).toEqual([]);
  const ring = await env.deps.bus.request(getDeviceKeys, { account: 'acme', deviceId: id });
  expect(ring.current?.publicKeyHash).toBe(publicKeyHash);
  expect(ring.next).toBeUndefined();
  await connectsAnew({ folder, id, fingerprint: '' });
}

/** Runs the agent until it ends; true where it was killed. */
async function rotatesIn(path: string, dieAt: number): Promise<boolean> {
  const child = fork(join(import.meta.dirname, 'dying-agent.ts'), [path, String(dieAt)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  if (signal === 'SIGKILL') return true;
  if (code !== 0) throw new Error(`the agent ended with ${code}: ${said}`);
  return false;
}

describe('F33: a rotation whose power fails', () => {
  it('at every change of the agent’s files: always one usable identity, and it completes after', async () => {
    let next = 1;
    let last = Number.POSITIVE_INFINITY;
    const worker = async (_: unknown, index: number) => {
      let device = await ready(`cut-${index}`);
      for (let n = next++; n <= last; n = next++) {
        device = await asItIs(device);
        const wasKilled = await rotatesIn(device.folder.path, n);
        if (!wasKilled) last = Math.min(last, n - 1);
        await connectsAnew(device);
        if (wasKilled) await rotate(new DeviceFolder(device.folder.path));
        await rotated(device);
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }).map(worker));
    console.log(`killed at each of ${last} changes of its files`);
    expect(last).toBeGreaterThan(30);
  });
});

/** Stands between the agent and a service, and cuts one connection of all that come through its kind. */
class Cutter implements AsyncDisposable {
  readonly #sockets = new Set<Socket>();
  readonly #servers: ReturnType<typeof createServer>[] = [];
  #at: number;
  readonly #what: 'request' | 'response';
  #connections = 0;
  hasCut = false;

  /** Cuts the connection of this number, counted over all ports: before its request, or its response. */
  constructor(at: number, what: 'request' | 'response') {
    this.#at = at;
    this.#what = what;
  }

  async before(port: number): Promise<number> {
    const server = createServer((client) => this.#pass(client, port));
    this.#servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  /** Cuts nothing any more. */
  rest(): void {
    this.#at = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  #pass(client: Socket, port: number): void {
    const isMarked = ++this.#connections === this.#at;
    const server = connect(port, '127.0.0.1');
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        server.destroy();
      });
    }
    const cut = () => {
      this.hasCut = true;
      client.destroy();
      server.end();
    };
    // flights of TLS 1.3: hello, hello to finished, then finished with the request, then the response
    let flights = 0;
    client.on('data', (chunk: Buffer) => {
      if (flights % 2 === 0) flights++;
      if (isMarked && this.#what === 'request' && flights === 3) cut();
      else server.write(chunk);
    });
    server.on('data', (chunk: Buffer) => {
      if (flights % 2 === 1) flights++;
      if (isMarked && this.#what === 'response' && flights === 4) cut();
      else client.write(chunk);
    });
  }
}

describe.each(['request', 'response'] as const)('F33: a rotation whose network is cut at a %s', (what) => {
  it('at every one of them: the agent keeps an identity, and completes when it tries again', async () => {
    let n = 1;
    let device = await ready(`net-${what}`);
    const bundle = (await device.folder.bundle()) ?? expect.unreachable();
    for (; ; n++) {
      device = await asItIs(device);
      await using cutter = new Cutter(n, what);
      const [est, gateway] = [
        await cutter.before(Number(new URL(bundle.est.url).port)),
        await cutter.before(Number(new URL(bundle.gateway.url).port)),
      ];
      await device.folder.putBundle({
        ...bundle,
        est: { ...bundle.est, url: `https://localhost:${est}` },
        gateway: { url: `https://localhost:${gateway}` },
      });
      const first = await rotate(device.folder).catch((error: unknown) => error);
      if (first instanceof AgentError) {
        expect(first.code).toBe('unreachable');
        await connectsAnew(device);
        await rotate(device.folder);
      } else if (first instanceof Error) throw first;
      const { hasCut } = cutter;
      cutter.rest();
      await rotated(device);
      if (!hasCut) break;
    }
    console.log(`cut at each of ${n - 1} ${what}s`);
    expect(n).toBeGreaterThan(8);
  });
});
