import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { createTestPki } from '@signet/pki/testing';
import { requireServer } from '@signet/tests/servers';
import { mountSmallDisk } from '@signet/tests/servers/small-disk';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { callHttps } from '../src/https-client.ts';
import { onboard } from '../src/index.ts';
import { submit } from '../src/messages/local-client.ts';
import { type Made, TestFactory } from './devices.ts';
import { Running } from './running.ts';

const mount = requireServer('mount');

let env: DevEnv;
let factory: TestFactory;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv({ env: { SIGNET_BOOTSTRAP_RETRY_SECONDS: '1' } }));
  factory = stack.use(await TestFactory.open(env));
});
afterAll(() => stack.disposeAsync());

/** `signet-agent` as a process of its own, with what it says. */
class Agent implements AsyncDisposable {
  said = '';
  readonly #child;
  readonly ended: Promise<number | null>;

  constructor(path: string, ...args: string[]) {
    const main = join(import.meta.dirname, '..', 'src', 'main.ts');
    this.#child = spawn(process.execPath, [main, '--folder', path, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const take = (chunk: Buffer) => {
      this.said += chunk.toString('utf8');
    };
    this.#child.stdout.on('data', take);
    this.#child.stderr.on('data', take);
    this.ended = once(this.#child, 'close').then(([code]) => code as number | null);
  }

  says(text: string | RegExp): Promise<void> {
    return vi.waitFor(() => expect(this.said).toMatch(text), 30_000);
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}

describe('a device that has to wait', () => {
  it('says its claim code and when it asks again, and Ctrl-C ends it', async () => {
    const { folder } = await factory.make('waits-for-claim');
    await using agent = new Agent(folder.path, 'onboard');
    await agent.says(/waiting: .*claim code [0-9A-Z]{5}(-[0-9A-Z]{5}){3}.*asking again in 1 second\n/);
    agent.interrupt();
    expect(await agent.ended).toBe(0);
  });

  it('says that an operator has revoked it', async () => {
    const made = await factory.claimed('revoked-by-operator');
    await onboard(made.folder);
    await factory.act('revoke', made.id);
    await using agent = new Agent(made.folder.path, 'onboard');
    expect(await agent.ended).toBe(1);
    expect(agent.said).toMatch(
      /^signet-agent: refused: (blocked or )?revoked by an operator; bootstrap: 403 /m,
    );
  });

  it('goes on saying that it lives where its clock was ahead and is set back', async () => {
    const made = await factory.claimed('clock-set-back');
    const heard: string[] = [];
    await using _listening = await env.deps.bus.listen(
      'signet.mqtt.acme.clock-set-back.up.>',
      ({ payload }) => {
        heard.push(Buffer.from(payload).toString());
      },
    );
    let ahead = 3_600_000;
    await using _agent = new Running(made, {
      now: () => Date.now() + ahead,
      messages: false,
      identity: false,
    });
    await vi.waitFor(() => expect(heard.length).toBeGreaterThan(0), 20_000);
    ahead = 0;
    const before = heard.length;
    await vi.waitFor(() => expect(heard.length).toBeGreaterThan(before + 3), 20_000);
  });

  it('is not held for ever by a server that drips its answer', async () => {
    const pki = createTestPki();
    const tls = pki.serverIdentity(['localhost']);
    const timers: NodeJS.Timeout[] = [];
    const server = createHttps({ key: tls.key, cert: tls.cert }, (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' });
      timers.push(setInterval(() => response.write('.'), 20));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `https://localhost:${(server.address() as AddressInfo).port}`;
    await expect(callHttps({ url, trust: pki.root.pem, deadlineMs: 300 })).rejects.toMatchObject({
      code: 'unreachable',
      isPassing: true,
      message: expect.stringMatching(/no whole answer within 0.3 s$/),
    });
    for (const timer of timers) clearInterval(timer);
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
});

describe.skipIf(mount === '')('a device whose disk is full', () => {
  const publish = async (path: string, text: string): Promise<number | string> =>
    submit(join(path, 'messages.sock'), 'state', Buffer.from(text)).catch(
      (error: Error & { code: string }) => `${error.code}: ${error.message}`,
    );
  const onSmallDisk = async (made: Made, path: string) => {
    await onboard(made.folder);
    await cp(made.folder.path, join(path, 'device'), { recursive: true });
    return join(path, 'device');
  };

  it('starts, tells workloads that the disk takes nothing, and goes on by itself once there is room', async () => {
    using disk = mountSmallDisk(4);
    const path = await onSmallDisk(await factory.claimed('full-disk'), disk.path);
    disk.fill();
    await using agent = new Agent(path, 'run');
    await agent.says(/ connected\n/);
    expect(await publish(path, 'a'.repeat(5000))).toMatch(
      /^disk: message: no space left on the disk; free some, and the agent goes on \(ENOSPC\)/,
    );
    disk.free();
    expect(await publish(path, 'a'.repeat(5000))).toBeGreaterThan(0);
    expect(agent.said).not.toMatch(/\n +at /);
    agent.interrupt();
    expect(await agent.ended).toBe(0);
  });

  it('waits for a file system that is read-only to be mounted writable, and tells workloads so at a socket elsewhere', async () => {
    using disk = mountSmallDisk(4);
    const path = await onSmallDisk(await factory.claimed('read-only'), disk.path);
    const remount = (how: 'ro' | 'rw') => execFileSync(mount, ['-o', `remount,${how}`, disk.path]);
    remount('ro');
    const elsewhere = await mkdtemp(join(tmpdir(), 'signet-socket-'));
    await using _removed = { [Symbol.asyncDispose]: () => rm(elsewhere, { recursive: true }) };
    await using agent = new Agent(path, '--messages', join(elsewhere, 'messages.sock'), 'run');
    await agent.says(
      / retrying in \d+ seconds?: .*\/agent\.lock: the file system is read-only; mount it writable/,
    );
    expect(await publish(elsewhere, 'hot')).toMatch(
      /^disk: message: .*\/agent\.lock: the file system is read-only; mount it writable/,
    );
    remount('rw');
    await agent.says(/ connected\n/);
    expect(await publish(elsewhere, 'hot')).toBeGreaterThan(0);
    agent.interrupt();
    expect(await agent.ended).toBe(0);
  });

  it('keeps serving workloads when a second agent waited for the same read-only folder', async () => {
    using disk = mountSmallDisk(4);
    const path = await onSmallDisk(await factory.claimed('two-wait'), disk.path);
    const remount = (how: 'ro' | 'rw') => execFileSync(mount, ['-o', `remount,${how}`, disk.path]);
    remount('ro');
    const elsewhere = await mkdtemp(join(tmpdir(), 'signet-socket-'));
    await using _removed = { [Symbol.asyncDispose]: () => rm(elsewhere, { recursive: true }) };
    const args = ['--messages', join(elsewhere, 'messages.sock'), 'run'];
    await using first = new Agent(path, ...args);
    await first.says(/ retrying in /);
    await using second = new Agent(path, ...args);
    await second.says(/ retrying in /);
    remount('rw');
    // One of the two takes the folder; the other one ends, and leaves the socket to it.
    const agents = [first, second];
    const loser = await Promise.race(agents.map(async (agent) => agent.ended.then(() => agent)));
    expect(loser.said).toMatch(/signet-agent: .*runs this device already/);
    const winner = agents.find((agent) => agent !== loser) ?? expect.unreachable();
    await winner.says(/ connected\n/);
    expect(await publish(elsewhere, 'hot')).toBeGreaterThan(0);
    winner.interrupt();
    expect(await winner.ended).toBe(0);
  });
});
