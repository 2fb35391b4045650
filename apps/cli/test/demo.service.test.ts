import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { DemoResult } from '../src/demo/fleet.ts';
import { Terminal } from './signet.ts';

/** Every command is a process of its own. */
vi.setConfig({ testTimeout: 180_000 });

let env: DevEnv;
let terminal: Terminal;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  terminal = stack.use(await Terminal.open(env));
});
afterAll(() => stack.disposeAsync());

it('takes a fleet through its life, and says so in one JSON line', async () => {
  const { code, out, err } = await terminal.demo('--devices', '6', '--json');
  expect(err.split('\n').at(-2)).toBe('revoke     3 of 3');
  const result = JSON.parse(out) as DemoResult;
  expect(result.failures).toEqual([]);
  expect(result).toMatchObject({ devices: 6, ok: 6 });
  const counts = Object.fromEntries(Object.entries(result.steps).map(([step, { count }]) => [step, count]));
  expect(counts).toEqual({
    ...{ factory: 6, claim: 6, bootstrap: 6, enrol: 6, connect: 6, publish: 6, renew: 6, reconnect: 6 },
    revoke: 3,
  });
  for (const { p50, p99 } of [...Object.values(result.steps), result.revokeToDisconnectMs]) {
    expect(p50).toBeGreaterThan(0);
    expect(p99).toBeGreaterThanOrEqual(p50);
  }
  expect(code).toBe(0);
});

it('ends with a table for people', async () => {
  const { code, out } = await terminal.demo('--devices', '2');
  expect(out).toMatch(/^ ?step[ │]+devices[ │]+p50 ms[ │]+p99 ms/);
  expect(out).toMatch(/^ ?revoke → cut[ │]+1[ │]+[\d.]+[ │]+[\d.]+/m);
  expect(out).toMatch(/^2 of 2 devices passed$/m);
  expect(code).toBe(0);
});

it('exits 1, soon, and says which step failed why, if a service is unavailable', async () => {
  await env.stop('est-ca');
  const { code, out } = await terminal.demo('--devices', '2', '--json');
  await env.start('est-ca');
  const result = JSON.parse(out) as DemoResult;
  expect(code).toBe(1);
  expect(result.ok).toBe(0);
  expect(result.failures).toHaveLength(2);
  expect(result.failures[0]).toMatchObject({
    step: 'factory',
    reason: expect.stringMatching(/^unavailable: /),
  });
});

it('says how to start Signet where nothing answers', async () => {
  const { code, err } = await terminal.demo('--url', 'http://127.0.0.1:9');
  expect(code).toBe(1);
  expect(err).toMatch(/^demo: http:\/\/127\.0\.0\.1:9: .*is Signet running\?.*npm start/);
  const few = await terminal.demo('--devices', '1');
  expect(few).toMatchObject({ code: 1, err: expect.stringMatching(/--devices.* 2 or more\n$/) });
});
