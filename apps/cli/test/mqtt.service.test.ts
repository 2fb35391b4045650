import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Terminal } from './signet.ts';

vi.setConfig({ testTimeout: 60_000 });

let env: DevEnv;
let terminal: Terminal;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  terminal = stack.use(await Terminal.open(env));
});
afterAll(() => stack.disposeAsync());

describe('signet mqtt policy', () => {
  it('shows what holds, changes what is named, and the platform is told who did it', async () => {
    expect((await terminal.signet('mqtt', 'policy', 'show')).out).toMatch(/second factor\s+off/);
    const changed = await terminal.signet('mqtt', 'policy', 'set', '--second-factor', 'on', '--json');
    expect(JSON.parse(changed.out)).toEqual({ secondFactor: true, shared: true, retainShared: false });
    expect((await terminal.signet('mqtt', 'policy', 'show')).out).toMatch(/second factor\s+on/);
    const event = await env.events.find('MQTT_POLICY_CHANGED');
    expect(event).toMatchObject({ account: 'acme', data: { policy: { secondFactor: true } } });
  });

  it('refuses what is neither on nor off', async () => {
    const { code, err } = await terminal.signet('mqtt', 'policy', 'set', '--shared', 'maybe');
    expect(code).toBe(1);
    expect(err).toMatch(/Allowed choices are on, off/);
  });
});
