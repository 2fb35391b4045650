import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { mqttSubject } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AgentError, leaf, lockFolder, onboard, openMqttSession, rotate } from '../src/index.ts';
import { type Made, TestFactory } from './devices.ts';
import { Running } from './running.ts';

let env: DevEnv;
let factory: TestFactory;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv({ env: { SIGNET_BOOTSTRAP_RETRY_SECONDS: '1' } }));
  factory = stack.use(await TestFactory.open(env));
});
afterAll(() => stack.disposeAsync());

const fails = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable('it went through'),
    (error: unknown) => error as AgentError,
  );

describe('onboarding', () => {
  it('waits for the claim, then enrols with a key made on the device', async () => {
    const made = await factory.make('waits');
    const steps: string[] = [];
    const done = onboard(made.folder, { maxWaitMs: 100, report: ({ step }) => steps.push(step) });
    await vi.waitFor(() => expect(steps).toContain('waiting'));
    await factory.claim(made);
    const identity = await done;
    expect(leaf(identity).subject).toMatchObject({ commonName: 'waits', organization: 'acme' });
    expect(steps.slice(-2)).toEqual(['handed-over', 'enrolled']);
    expect(await made.folder.pendingKey()).toBeUndefined();
    expect((await made.folder.operational())?.key).not.toBe((await made.folder.factoryFiles()).identity.key);
  });

  it('uses the key that it had made before the power was cut', async () => {
    const made = await factory.claimed('cut');
    await made.folder.putPendingKey((await made.folder.factoryFiles()).identity.key);
    const pending = await made.folder.pendingKey();
    await onboard(made.folder);
    expect((await made.folder.operational())?.key.trim()).toBe(pending?.trim());
  });

  it('ends with the reason where bootstrap refuses the device', async () => {
    const made = await factory.claimed('blocked-early');
    await factory.act('block', made.id);
    const error = await fails(onboard(made.folder));
    expect(error).toMatchObject({ code: 'refused', status: 403 });
    expect(error.message).toMatch(/^bootstrap: 403 (blocked|denied): /);
  });

  it('goes on trying while EST is unavailable, and enrols when it is back', async () => {
    const made = await factory.claimed('patient');
    await env.stop('est-ca');
    const reasons: string[] = [];
    const done = onboard(made.folder, {
      maxWaitMs: 200,
      report: (step) => void (step.step === 'retrying' && reasons.push(step.reason)),
    });
    await vi.waitFor(() => expect(reasons.length).toBeGreaterThan(1), 20_000);
    await env.start('est-ca');
    expect(leaf(await done).subject.commonName).toBe('patient');
  });

  it('stops waiting when it is told to', async () => {
    const made = await factory.make('impatient');
    const over = new AbortController();
    const done = fails(
      onboard(made.folder, { signal: over.signal, report: () => over.abort(new Error('told to')) }),
    );
    expect((await done).message).toBe('told to');
  });
});

describe('running', () => {
  it('onboards, connects, says that it lives, hears commands, and leaves when told', async () => {
    const made = await factory.claimed('lives');
    const heard: string[] = [];
    await using _listening = await env.deps.bus.listen('signet.mqtt.acme.lives.up.>', ({ payload }) => {
      heard.push(Buffer.from(payload).toString());
    });
    await using agent = new Running(made);
    await agent.until('connected');
    await vi.waitFor(() => expect(heard.length).toBeGreaterThan(1), 10_000);
    expect(JSON.parse(heard[0] ?? '')).toMatchObject({ alive: true });
    const subject = mqttSubject('acme', 'lives', 'down', ['relay', 'on']);
    await env.deps.bus.send(subject, Buffer.from('now'), { stored: true });
    await agent.until('message');
    const message = agent.events.find((event) => event.step === 'message');
    expect(message).toMatchObject({ levels: ['relay', 'on'], payload: Buffer.from('now') });
    expect(await agent.stop()).toBeUndefined();
    const ended = await env.events.find('DEVICE_DISCONNECTED', ({ subject: id }) => id === 'lives');
    expect(ended.data.reason).toBe('client');
  });

  it('comes back by itself after the broker was unavailable', async () => {
    const made = await factory.claimed('returns');
    await using agent = new Running(made);
    await agent.until('connected');
    await env.stop('mqtt-broker');
    await agent.until('retrying');
    await env.start('mqtt-broker');
    await agent.until('connected', 2);
    expect(agent.count('handed-over')).toBe(1);
  });

  it('renews with a new key when due, and comes back with the new certificate', async () => {
    const made = await factory.claimed('renews');
    const first = await onboard(made.folder);
    const { serialNumber } = leaf(first);
    await using agent = new Running(made, {
      renewAt: (identity) => (leaf(identity).serialNumber === serialNumber ? 0 : Number.MAX_SAFE_INTEGER),
    });
    await agent.until('connected', 2);
    expect(agent.count('renewed')).toBe(1);
    const now = await made.folder.operational();
    expect(now?.key).not.toBe(first.key.trim());
    expect(leaf(now ?? first).serialNumber).not.toBe(serialNumber);
  });

  it('with its certificate revoked it asks bootstrap again, and comes back with another one', async () => {
    const made = await factory.claimed('forgiven');
    const { serialNumber } = leaf(await onboard(made.folder));
    await using agent = new Running(made);
    await agent.until('connected');
    await env.operator.post(`/v1/accounts/acme/certificates/${serialNumber}/revoke`, {});
    await agent.until('enrolled');
    await agent.until('connected', 2);
    expect(leaf((await made.folder.operational()) ?? expect.unreachable()).serialNumber).not.toBe(
      serialNumber,
    );
  });

  it('F50: retired, its session is cut and the run ends with the reason', async () => {
    const made = await factory.claimed('retired');
    await using agent = new Running(made);
    await agent.until('connected');
    await factory.act('revoke', made.id);
    const error = await agent.ended;
    expect(error).toBeInstanceOf(AgentError);
    expect(error).toMatchObject({
      code: 'refused',
      status: 403,
      message: expect.stringMatching(/^bootstrap: 403 /),
    });
    expect(agent.count('disconnected')).toBe(1);
  });
});

describe('the broker’s answer', () => {
  it('is told apart: refused, closed in the middle, not there', async () => {
    const made = await factory.claimed('tells-apart');
    const identity = await onboard(made.folder);
    const bundle = (await made.folder.bundle()) ?? expect.unreachable();
    const at = (port: number, clientId = bundle.mqtt.clientId) => ({
      ...bundle,
      mqtt: { url: `mqtts://localhost:${port}`, clientId },
    });
    const { port } = new URL(bundle.mqtt.url);
    expect(await fails(openMqttSession(at(Number(port), 'another'), identity))).toMatchObject({
      code: 'refused',
    });
    const rude = createServer((socket) => socket.destroy());
    rude.listen(0, '127.0.0.1');
    await once(rude, 'listening');
    const address = rude.address();
    const rudePort = typeof address === 'object' && address !== null ? address.port : 0;
    expect(await fails(openMqttSession(at(rudePort), identity))).toMatchObject({ code: 'unreachable' });
    rude.close();
    await once(rude, 'close');
    expect(await fails(openMqttSession(at(rudePort), identity))).toMatchObject({ code: 'unreachable' });
  });
});

describe('renewing', () => {
  it('with the answer lost, goes on with the same key', async () => {
    const made = await factory.claimed('lost-answer');
    await onboard(made.folder);
    const over = new AbortController();
    over.abort();
    expect(await fails(rotate(made.folder, { signal: over.signal }))).toMatchObject({ code: 'unreachable' });
    const pending = await made.folder.pendingKey();
    expect((await rotate(made.folder)).key).toBe(pending);
  });

  it('is no beginning: a device that has not enrolled is told to onboard', async () => {
    const made = await factory.claimed('too-soon');
    expect(await fails(rotate(made.folder))).toMatchObject({ code: 'not-enrolled' });
  });
});

describe('signet-agent', () => {
  const main = join(import.meta.dirname, '..', 'src', 'main.ts');
  function start(made: Made, ...args: string[]) {
    const child = spawn(process.execPath, [main, '--folder', made.folder.path, ...args]);
    let err = '';
    let out = '';
    child.stderr.on('data', (chunk) => (err += String(chunk)));
    child.stdout.on('data', (chunk) => (out += String(chunk)));
    const ended = once(child, 'close').then(() => child.exitCode);
    return { child, ended, err: () => err, out: () => out };
  }

  it('runs until SIGTERM, then leaves with exit code 0 and gives the folder free', async () => {
    const made = await factory.claimed('process');
    const agent = start(made, 'run');
    await vi.waitFor(() => expect(agent.err()).toMatch(/ connected$/m), 20_000);
    const second = start(made, 'run');
    expect(await second.ended).toBe(1);
    expect(second.err()).toBe(
      `signet-agent: folder-in-use: ${made.folder.path}/agent.lock: process ${agent.child.pid} runs this device already\n`,
    );
    const status = start(made, 'status', '--json');
    expect(await status.ended).toBe(0);
    expect(JSON.parse(status.out())).toMatchObject({
      account: 'acme',
      deviceId: 'process',
      pending: { enrolment: false },
    });
    agent.child.kill('SIGTERM');
    expect(await agent.ended).toBe(0);
    await expect(readFile(join(made.folder.path, 'agent.lock'))).rejects.toThrow('ENOENT');
    await using _free = await lockFolder(made.folder.path);
  });

  it('a device that bootstrap refuses ends with exit code 1 and the reason in one line', async () => {
    const made = await factory.claimed('process-refused');
    await factory.act('block', made.id);
    const agent = start(made, 'run');
    expect(await agent.ended).toBe(1);
    expect(agent.err()).toMatch(
      /^signet-agent: refused: blocked( or revoked)? by an operator; bootstrap: 403 .*\n$/,
    );
  });
});
