import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeviceFolder, type RunEvent, run } from '@signet/agent';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Terminal } from './signet.ts';

/** Every command is a process of its own. */
vi.setConfig({ testTimeout: 60_000 });

let env: DevEnv;
let terminal: Terminal;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  terminal = stack.use(await Terminal.open(env));
});
afterAll(() => stack.disposeAsync());

describe('signet devices command', () => {
  it('F22: has a device run its program, and says under which id', async () => {
    const made = await terminal.signet('factory', 'sign', '--new', 'cmd-1', '--json');
    await terminal.signet('devices', 'claim', String(JSON.parse(made.out).fingerprint));
    const folder = new DeviceFolder(join(terminal.folder, 'cmd-1'));
    await mkdir(join(folder.path, 'commands'));
    await writeFile(join(folder.path, 'commands', 'blink'), '#!/bin/sh\ncat\n', { mode: 0o700 });
    const events: RunEvent[] = [];
    const over = new AbortController();
    const running = run(folder, { signal: over.signal, report: (event) => void events.push(event) });
    await vi.waitFor(() => expect(events.map(({ step }) => step)).toContain('connected'), 20_000);
    const sent = await terminal.signet('devices', 'command', 'cmd-1', 'blink', '{"times":3}', '--json');
    const { id } = JSON.parse(sent.out);
    await vi.waitFor(
      () => expect(events).toContainEqual({ step: 'command-done', id, name: 'blink', success: true }),
      20_000,
    );
    over.abort();
    await running;
  });

  it('refuses what is no JSON, before it asks', async () => {
    const { code, err } = await terminal.signet('devices', 'command', 'cmd-1', 'blink', '{times:3}');
    expect(code).toBe(1);
    expect(err).toMatch(/^signet: json: /);
  });
});
