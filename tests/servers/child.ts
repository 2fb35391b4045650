import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A server that runs for tests. `stop` ends it, waits until it is gone and removes its directory. */
export type RunningServer = AsyncDisposable & {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves when it is gone, whoever ended it. */
  readonly exited: Promise<void>;
  stop(): Promise<void>;
};

export type ServerOptions = {
  /** Default: a free one. */
  readonly port?: number;
  /** Where it keeps its data, left in place by `stop`; default: a temporary directory that `stop` removes. */
  readonly directory?: string;
};

export type StartOptions = {
  /** How long it may take until it answers; default 20 s. */
  readonly deadlineMs?: number;
  /** How long a stop may take before it is killed; default 5 s. */
  readonly stopMs?: number;
  /** Hears what it prints. */
  readonly output?: (text: string) => void;
  /** Ends the start. */
  readonly signal?: AbortSignal;
};

/**
 * The server's guard: it ends the server when its standard input closes, which the death of this process does too,
 * however it dies, and removes the temporary directory `$1` after it. Both are a process group of their own, so a
 * Ctrl-C of the terminal does not reach them.
 */
const guard = `
  temporary=$1; shift
  exec 3<&0
  "$@" </dev/null & server=$!
  echo $server
  (cat <&3 >/dev/null; kill $server 2>/dev/null) >/dev/null &
  wait $server; code=$?
  [ -z "$temporary" ] || rm -rf "$temporary"
  exit $code
`;

/** A port of 127.0.0.1 that is free now. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('port: the system gave none');
  return address.port;
}

/**
 * Starts a server and waits until it answers.
 * @throws Error with the end of its output if it exits, or does not answer in time
 */
export async function startServer(
  definition: {
    readonly name: string;
    readonly binary: string;
    readonly args: (port: number, directory: string) => readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly url: (port: number) => string;
    readonly answers: (port: number) => Promise<boolean>;
  },
  options: ServerOptions & StartOptions = {},
): Promise<RunningServer> {
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const temporary =
      options.directory === undefined ? mkdtempSync(join(tmpdir(), `signet-${definition.name}-`)) : '';
    const directory = options.directory ?? temporary;
    const command = [definition.binary, ...definition.args(port, directory)];
    const child = spawn('/bin/sh', ['-c', guard, 'guard', temporary, ...command], {
      detached: true,
      env: { ...process.env, ...definition.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const output = collect(child, options.output);
    const exited = once(child, 'exit').then(() => {});
    const stop = async () => {
      await end(child, options.stopMs ?? 5_000);
      if (temporary !== '') rmSync(temporary, { recursive: true, force: true });
    };
    const deadline = Date.now() + (options.deadlineMs ?? 20_000);
    while (child.exitCode === null && Date.now() < deadline && options.signal?.aborted !== true) {
      if (await definition.answers(port)) {
        const pid = output.pid();
        return { url: definition.url(port), port, pid, exited, stop, [Symbol.asyncDispose]: stop };
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    const early = child.exitCode !== null;
    await stop();
    options.signal?.throwIfAborted();
    // a free port may have been taken between the probe and the server's own bind
    if (early && options.port === undefined && attempt < 3) continue;
    const what = early ? `exited with ${child.exitCode}` : 'does not answer';
    throw new Error(`${definition.name}: ${what}\n${output.end().trim().split('\n').slice(-20).join('\n')}`);
  }
}

type Output = { readonly pid: () => number; readonly end: () => string };

/** The guard's first line is the server's process id; the rest is what the server prints, of which the end is kept. */
function collect(child: ChildProcess, hear: (text: string) => void = () => {}): Output {
  let pid: number | undefined;
  let end = '';
  const take = (text: string) => {
    end = (end + text).slice(-20_000);
    hear(text);
  };
  child.stderr?.setEncoding('utf8').on('data', take);
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    if (pid !== undefined) return take(text);
    pid = Number.parseInt(text, 10);
    take(text.replace(/^\d+\n/, ''));
  });
  return { pid: () => pid ?? 0, end: () => end };
}

/** Lets the guard end the server; after `deadlineMs` the whole process group is killed. */
async function end(child: ChildProcess, deadlineMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.stdin?.end();
  const late = setTimeout(() => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, deadlineMs);
  await exited;
  clearTimeout(late);
}
