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
  stop(): Promise<void>;
};

export type ServerOptions = {
  /** Default: a free one. */
  readonly port?: number;
  /** Where it keeps its data, left in place by `stop`; default: a temporary directory that `stop` removes. */
  readonly directory?: string;
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
 * @throws Error with the end of its output if it exits, or does not answer within `deadlineMs` (default 20 s)
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
  options: ServerOptions & { readonly deadlineMs?: number } = {},
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
    const output = collect(child);
    const stop = async () => {
      await end(child);
      if (temporary !== '') rmSync(temporary, { recursive: true, force: true });
    };
    const deadline = Date.now() + (options.deadlineMs ?? 20_000);
    while (child.exitCode === null && Date.now() < deadline) {
      if (await definition.answers(port)) {
        const pid = Number(output().split('\n', 1)[0]);
        return { url: definition.url(port), port, pid, stop, [Symbol.asyncDispose]: stop };
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    const exited = child.exitCode !== null;
    await stop();
    // a free port may have been taken between the probe and the server's own bind
    if (exited && options.port === undefined && attempt < 3) continue;
    const what = exited ? `exited with ${child.exitCode}` : 'does not answer';
    throw new Error(`${definition.name}: ${what}\n${output().split('\n').slice(-20).join('\n')}`);
  }
}

function collect(child: ChildProcess): () => string {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output = output.length > 20_000 ? output : output + chunk.toString('utf8');
    });
  }
  return () => output;
}

/** Lets the guard end the server; after 5 s the whole process group is killed. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.stdin?.end();
  const late = setTimeout(() => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, 5_000);
  await exited;
  clearTimeout(late);
}
