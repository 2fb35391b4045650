import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const main = fileURLToPath(new URL('./testing/example-main.ts', import.meta.url));
type Line = { msg: string; level: string; ports?: { http: number }; healthPort?: number };

let dataDir: string;
const running: Example[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'signet-run-'));
});
afterEach(async () => {
  for (const example of running.splice(0)) await example.kill();
  await rm(dataDir, { recursive: true, force: true });
});

/** The example service as a process of its own. */
class Example {
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly lines: Line[] = [];
  readonly exit: Promise<number | null>;
  stderr = '';
  #heard = Promise.withResolvers<void>();

  constructor(env: Record<string, string> = {}) {
    this.process = spawn(process.execPath, [main], {
      env: {
        SIGNET_HEALTH_PORT: '0',
        SIGNET_HEALTH_BIND: '127.0.0.1',
        SIGNET_DATA_DIR: dataDir,
        SIGNET_STORE: `sqlite:${join(dataDir, 'signet.db')}`,
        ...env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.exit = once(this.process, 'close').then(([code]) => code as number | null);
    this.process.stderr.on('data', (chunk) => {
      this.stderr += String(chunk);
    });
    createInterface(this.process.stdout).on('line', (text) => {
      this.lines.push(JSON.parse(text) as Line);
      this.#heard.resolve();
      this.#heard = Promise.withResolvers();
    });
    running.push(this);
  }

  async line(msg: string): Promise<Line> {
    for (;;) {
      const found = this.lines.find((line) => line.msg === msg);
      if (found !== undefined) return found;
      const ended = await Promise.race([this.#heard.promise, this.exit.then((code) => ({ code }))]);
      if (ended !== undefined) throw new Error(`ended with ${ended.code} before "${msg}": ${this.stderr}`);
    }
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.exit;
  }
}

test('a wrong configuration ends the start with exit code 2 and one line a variable', async () => {
  const example = new Example({ SIGNET_BUS: 'amqp://x', EXAMPLE_PORT: 'x' });
  expect(await example.exit).toBe(2);
  expect(example.stderr).toBe(
    'example: the configuration is wrong\n' +
      '  SIGNET_BUS: must be local or nats://…\n' +
      '  EXAMPLE_PORT: must be a port number\n',
  );
});

test('a started service is ready on its health port', async () => {
  const { healthPort } = await new Example().line('example is ready');
  const ready = await fetch(`http://127.0.0.1:${healthPort}/ready`);
  expect(ready.status).toBe(200);
  expect(Object.keys(((await ready.json()) as { checks: object }).checks)).toEqual([
    'log',
    'store',
    'bus',
    'clock',
  ]);
});

test('SIGTERM lets the request in flight finish, then ends with exit code 0', async () => {
  const example = new Example();
  const { ports } = await example.line('example is ready');
  const slow = fetch(`http://127.0.0.1:${ports?.http}/slow`);
  await example.line('slow request started');
  example.process.kill('SIGTERM');
  await example.line('stopping');
  example.process.stdin.write('go');
  expect(await (await slow).json()).toEqual({ done: true });
  expect(await example.exit).toBe(0);
  await example.line('stopped');
});

test('a stop that does not end by its deadline is given up with exit code 1', async () => {
  const example = new Example({ SIGNET_STOP_SECONDS: '1' });
  const { ports } = await example.line('example is ready');
  const slow = fetch(`http://127.0.0.1:${ports?.http}/slow`).catch(() => undefined);
  await example.line('slow request started');
  example.process.kill('SIGINT');
  expect(await example.exit).toBe(1);
  expect((await example.line('stop: deadline over')).level).toBe('error');
  await slow;
});

test('SIGTERM ends a start that still waits for its bus, with exit code 0', async () => {
  const example = new Example({ EXAMPLE_HANGS: 'true' });
  await example.line('waiting');
  example.process.kill('SIGTERM');
  expect(await example.exit).toBe(0);
});

test('a second signal ends the process at once', async () => {
  const example = new Example();
  const { ports } = await example.line('example is ready');
  const slow = fetch(`http://127.0.0.1:${ports?.http}/slow`).catch(() => undefined);
  await example.line('slow request started');
  example.process.kill('SIGTERM');
  await example.line('stopping');
  // what comes within half a second is the same Ctrl-C, so a signal is sent until one counts
  const again = setInterval(() => example.process.kill('SIGTERM'), 50);
  expect(await example.exit.finally(() => clearInterval(again))).toBe(1);
  await example.line('second signal, ending at once');
  await slow;
});

test('a Ctrl-C that npm passes on a second time still lets the request in flight finish', async () => {
  const example = new Example();
  const { ports } = await example.line('example is ready');
  const slow = fetch(`http://127.0.0.1:${ports?.http}/slow`).catch(() => undefined);
  await example.line('slow request started');
  example.process.kill('SIGINT');
  await example.line('stopping');
  example.process.kill('SIGINT');
  example.process.stdin.write('go');
  expect(await (await slow)?.json()).toEqual({ done: true });
  expect(await example.exit).toBe(0);
});

test('an unhandled rejection is logged and ends the process with exit code 1', async () => {
  const example = new Example();
  const { ports } = await example.line('example is ready');
  await fetch(`http://127.0.0.1:${ports?.http}/crash`).catch(() => undefined);
  expect(await example.exit).toBe(1);
  await example.line('unhandled error, ending');
});

test('a port that is taken is named with its variable in one line, exit code 1', async () => {
  const first = await new Example().line('example is ready');
  const { healthPort } = first;
  const elsewhere = { SIGNET_STORE: `sqlite:${join(dataDir, 'other.db')}` };
  const second = new Example({ ...elsewhere, SIGNET_HEALTH_PORT: String(healthPort) });
  expect(await second.exit).toBe(1);
  expect(second.stderr).toBe(
    `example: SIGNET_HEALTH_PORT: port ${healthPort} of 127.0.0.1 is taken by another process\n`,
  );
});

test('a second process on the same store says that Signet runs there already; after kill -9 of the first it starts', async () => {
  const first = new Example();
  await first.line('example is ready');
  const second = new Example();
  expect(await second.exit).toBe(1);
  expect(second.stderr).toBe(
    `example: SIGNET_STORE: ${join(dataDir, 'signet.db')} is in use: Signet runs there already\n`,
  );
  first.process.kill('SIGKILL');
  await first.exit;
  await new Example().line('example is ready');
});
