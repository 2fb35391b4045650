import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CommandResult, mqttSubject } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type RunEvent, run } from '../src/index.ts';
import { type Made, TestFactory } from './devices.ts';

let env: DevEnv;
let factory: TestFactory;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv({ env: { SIGNET_BOOTSTRAP_RETRY_SECONDS: '1' } }));
  factory = stack.use(await TestFactory.open(env));
});
afterAll(() => stack.disposeAsync());

const COMMANDS = '/v1/accounts/acme/devices/obeys/commands';
const down = mqttSubject('acme', 'obeys', 'down', ['command']);
const waited = <T>(look: () => T) => vi.waitFor(look, 20_000);

/** The agent until it is disposed of. */
async function running({ folder }: Made): Promise<AsyncDisposable & { events: RunEvent[] }> {
  const events: RunEvent[] = [];
  const over = new AbortController();
  const report = (event: RunEvent) => void events.push(event);
  const ended = run(folder, { maxWaitMs: 500, signal: over.signal, report });
  await waited(() => expect(events.map(({ step }) => step)).toContain('connected'));
  return {
    events,
    async [Symbol.asyncDispose]() {
      over.abort();
      await ended;
    },
  };
}

it('F22: a signed command runs, a tampered or repeated one is rejected', async () => {
  const made = await factory.claimed('obeys');
  const programs = join(made.folder.path, 'commands');
  await mkdir(programs, { recursive: true });
  await writeFile(join(programs, 'echo'), '#!/bin/sh\necho "$COMMAND_ID"; cat\n', { mode: 0o700 });
  const results: CommandResult[] = [];
  await using _results = await env.deps.bus.listen(
    mqttSubject('acme', 'obeys', 'up', ['command']),
    ({ payload }) => void results.push(JSON.parse(Buffer.from(payload).toString())),
  );
  const sending = vi.spyOn(env.deps.bus, 'send');
  const firstSent = () => {
    const [, payload = ''] = sending.mock.calls.find(([subject]) => subject === down) ?? [];
    return Buffer.from(payload).toString();
  };
  const again = (jws: string) => env.deps.bus.send(down, Buffer.from(jws), { stored: true });

  let id = '';
  {
    await using agent = await running(made);
    ({ id } = await env.operator.post<{ id: string }>(COMMANDS, { name: 'echo', payload: { led: 'on' } }));
    await waited(() => expect(results).toEqual([{ id, success: true, output: `${id}\n{"led":"on"}` }]));
    expect(agent.events).toContainEqual({ step: 'command-done', id, name: 'echo', success: true });

    const [head = '', body = '', tail = ''] = firstSent().split('.');
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
    const other = Buffer.from(JSON.stringify({ ...claims, payload: { led: 'off' } })).toString('base64url');
    await again(`${head}.${other}.${tail}`);
    await waited(() => expect(results).toHaveLength(2));
    expect(results[1]).toMatchObject({ success: false, reason: 'bad-signature' });
    expect(agent.events).toContainEqual({
      ...{ step: 'command-refused', id: undefined },
      reason: 'bad-signature: signature: not over this statement',
    });

    await again(firstSent());
    await waited(() => expect(results).toHaveLength(3));
    expect(results[2]).toMatchObject({ id, success: false, reason: 'replayed' });

    await env.operator.post(COMMANDS, { name: 'rm', payload: null });
    await waited(() => expect(results).toHaveLength(4));
    expect(results[3]).toMatchObject({ success: false, output: `rm: not a program of ${programs}` });
  }
  await using _restarted = await running(made);
  await again(firstSent());
  await waited(() => expect(results).toHaveLength(5));
  expect(results[4]).toMatchObject({ id, success: false, reason: 'replayed' });
});
