import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { createTestPki } from '@signet/pki/testing';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { DeviceFolder } from '../src/index.ts';
import { type Made, TestFactory } from './devices.ts';

const faketime = requireServer('faketime');

vi.setConfig({ testTimeout: 90_000 });

/** `signet-agent` under a clock of its own, that of TLS as well: so far from the present, as `faketime -f` has it. */
class Agent implements AsyncDisposable {
  said = '';
  readonly #child;
  readonly ended: Promise<number | null>;

  constructor({ path }: DeviceFolder, offset: string, ...args: string[]) {
    const main = join(import.meta.dirname, '..', 'src', 'main.ts');
    const env = { ...process.env, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
    this.#child = spawn(faketime, ['-f', offset, process.execPath, main, '--folder', path, ...args], {
      ...{ env, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.on('data', (chunk) => (this.said += String(chunk)));
    this.ended = once(this.#child, 'close').then(() => this.#child.exitCode);
  }

  says(what: RegExp): Promise<void> {
    return vi.waitFor(() => expect(this.said).toMatch(what), { timeout: 60_000, interval: 100 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, 'SIGKILL');
    await this.ended;
  }
}

describe.skipIf(faketime === '')('F60: a device whose clock is wrong', () => {
  const stack = new AsyncDisposableStack();
  let env: DevEnv;
  let factory: TestFactory;
  beforeAll(async () => {
    env = stack.use(await startDevEnv({ env: { SIGNET_BOOTSTRAP_RETRY_SECONDS: '1' } }));
    factory = stack.use(await TestFactory.open(env));
  });
  afterAll(() => stack.disposeAsync());

  const clockOf = ({ folder }: Made): Promise<string | undefined> =>
    readFile(join(folder.path, 'clock.json'), 'utf8').catch(() => undefined);

  it.each([
    ['at 1970', (): string => `-${Math.floor(Date.now() / 1000) - 1000}s`],
    ['years behind', (): string => '-3y'],
    // later than the agent's release, so that only the server's certificate tells
    ['a day behind', (): string => '-1d'],
  ] as const)(
    '%s: onboards, connects and rotates by what servers show, and keeps that time for the next cold start',
    async (what, offset) => {
      const made = await factory.claimed(`clock-${what.replaceAll(' ', '-')}`);
      await using first = new Agent(made.folder, offset(), 'onboard');
      expect(await first.ended, first.said).toBe(0);
      const { floor } = JSON.parse((await clockOf(made)) ?? '{}');
      expect(Math.abs(Date.parse(floor) - Date.now())).toBeLessThan(3_600_000);

      await using running = new Agent(made.folder, offset(), 'run');
      await running.says(/ connected$/m);
      await env.events.find('DEVICE_CONNECTED', ({ subject }) => subject === made.id);
      await running[Symbol.asyncDispose]();

      await using renewal = new Agent(made.folder, offset(), 'renew');
      expect(await renewal.ended, renewal.said).toBe(0);
      expect(JSON.parse((await clockOf(made)) ?? '{}')).toEqual({ floor });
    },
  );

  it('at 1970, a server of another root is not spoken with, with a floor and without', async () => {
    const made = await factory.claimed('clock-forged');
    const { identity, url } = await made.folder.factoryFiles();
    await made.folder.putFactoryFiles({ ...identity, url, trust: createTestPki().root.pem });
    await using agent = new Agent(made.folder, '-50y', 'onboard');
    await agent.says(/retrying in .*no root that the device trusts vouches for the server/);
    expect(await clockOf(made)).toBeUndefined();
  });

  it('years ahead: it says by which clock the server’s certificate has ended, keeps nothing of that time, and goes on when it is set', async () => {
    const made = await factory.claimed('clock-ahead');
    await using agent = new Agent(made.folder, '+30y', 'onboard');
    await agent.says(/retrying in .*certificate has expired \(by this device's clock: 20[5-9]\d-/);
    await agent[Symbol.asyncDispose]();
    expect(await clockOf(made)).toBeUndefined();
    await using after = new Agent(made.folder, '+0', 'onboard');
    expect(await after.ended, after.said).toBe(0);
  });

  it('a floor that is ahead of every server is named, and repair takes it back', async () => {
    const made = await factory.claimed('clock-poisoned');
    await writeFile(join(made.folder.path, 'clock.json'), '{"floor":"2090-01-01T00:00:00.000Z"}', {
      mode: 0o600,
    });
    await using stuck = new Agent(made.folder, '+0', 'onboard');
    await stuck.says(/the certificate of the server ended at \S+, and it is later than 2090-01-01/);
    await stuck[Symbol.asyncDispose]();
    await using repair = new Agent(made.folder, '+0', 'repair', '--apply');
    expect(await repair.ended, repair.said).toBe(0);
    expect(repair.said).toMatch(/^clock\.json: it says 2090-01-01T00:00:00\.000Z, and that is not past$/m);
    await using after = new Agent(made.folder, '+0', 'onboard');
    expect(await after.ended, after.said).toBe(0);
  });
});
