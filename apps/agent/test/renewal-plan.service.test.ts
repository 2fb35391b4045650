import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bundle } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { createTestPki } from '@signet/pki/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { leaf, onboard, planRenewal, type RunEvent, run } from '../src/index.ts';
import { TestFactory } from './devices.ts';

const DAY = 86_400_000;
// certificates hold whole seconds
const now = Math.floor(Date.now() / 1000) * 1000;
const pki = createTestPki();

describe('F82: when the agent renews', () => {
  let server: Server;
  let folder: string;
  let answer: { status: number; headers: Record<string, string>; body: string };
  const device = pki.operational('acme', 'dev-1', { notBefore: now - 30 * DAY, notAfter: now + 60 * DAY });
  const identity = { key: device.key, certificate: device.cert };
  const own = now - 30 * DAY + 60 * DAY;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'signet-plan-'));
    const tls = pki.serverIdentity(['localhost']);
    server = createServer({ key: tls.key, cert: tls.cert }, (request, response) => {
      expect(request.url).toBe('/.well-known/est/acme/renewal-info');
      response.writeHead(answer.status, answer.headers);
      response.end(answer.body);
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
    await rm(folder, { recursive: true, force: true });
  });

  const plan = (random = 0.5) => {
    const { port } = server.address() as AddressInfo;
    const bundle = {
      est: { url: `https://localhost:${port}`, label: 'acme' },
      trustAnchors: [pki.root.pem],
    } as unknown as Bundle;
    return planRenewal({ bundle: async () => bundle }, identity, { random: () => random });
  };
  const window = (start: number, end: number) =>
    JSON.stringify({
      suggestedWindow: { start: new Date(start).toISOString(), end: new Date(end).toISOString() },
    });

  it('is at random within the window that the server suggests, and it asks again after Retry-After', async () => {
    answer = { status: 200, headers: { 'Retry-After': '7200' }, body: window(now + DAY, now + 2 * DAY) };
    expect(await plan(0.5)).toEqual({
      renewAt: now + 1.5 * DAY,
      askAgainMs: 7_200_000,
      by: 'server',
    });
    answer = { status: 200, headers: { 'Retry-After': '1' }, body: window(now - 2000, now - 1000) };
    const over = await plan();
    expect(over.renewAt).toBeLessThan(now);
    expect(over.askAgainMs).toBe(60_000);
    answer = { status: 200, headers: { 'Retry-After': '9999999' }, body: window(now, now + DAY) };
    expect((await plan()).askAgainMs).toBe(DAY);
  });

  it.each([
    ['it has no renewal-info', 404, {}, 'not found'],
    ['what it says is no JSON', 200, {}, 'soon'],
    ['the window ends before it begins', 200, {}, window(now + DAY, now)],
    ['the window begins after the certificate has ended', 200, {}, window(now + 61 * DAY, now + 62 * DAY)],
    ['it is busy', 503, { 'Retry-After': '30' }, 'busy'],
  ])('is after two thirds of its life, with jitter, where %s', async (_, status, headers, body) => {
    answer = { status, headers, body };
    const early = await plan(0);
    expect([early.by, early.renewAt]).toEqual(['own', own]);
    const late = await plan(1);
    expect(late.renewAt).toBe(own + 9 * DAY);
    if (status === 503) expect(late.askAgainMs).toBe(30_000);
    else expect(late.askAgainMs).toBeGreaterThan(0);
  });
});

describe('F82: a running agent', () => {
  let env: DevEnv;
  let factory: TestFactory;
  const stack = new AsyncDisposableStack();
  beforeAll(async () => {
    env = stack.use(await startDevEnv());
    factory = stack.use(await TestFactory.open(env));
  });
  afterAll(() => stack.disposeAsync());

  it('asks the server, which tells it the time', async () => {
    const device = await factory.claimed('asks');
    const first = leaf(await onboard(device.folder));
    const events: RunEvent[] = [];
    const over = new AbortController();
    const done = run(device.folder, { signal: over.signal, report: (event) => events.push(event) });
    await vi.waitFor(() => expect(events.map(({ step }) => step)).toContain('renewal-planned'), 20_000);
    const planned = events.find((event) => event.step === 'renewal-planned');
    expect(planned).toMatchObject({ by: 'server' });
    const { at } = planned as { at: Date };
    const due = first.notBefore + ((first.notAfter - first.notBefore) * 2) / 3;
    const { notAfter } = first;
    expect(at.getTime()).toBeGreaterThan(due - 1000);
    expect(at.getTime()).toBeLessThan(due + (notAfter - due) / 3 + 120_000);
    over.abort();
    await done;
  });
});
