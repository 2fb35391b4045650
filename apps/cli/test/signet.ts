import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import type { DevEnv } from '@signet/dev-env';
import { runCommand } from '../src/run-command.ts';

const source = join(import.meta.dirname, '..', 'src');

export type Done = { readonly code: number | null; readonly out: string; readonly err: string };

/** Keeps what is written to it. */
export class Sink extends Writable {
  text = '';

  override _write(chunk: unknown, _encoding: string, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

/** Commands in this process run one after the other: they share its working folder. */
let turn: Promise<unknown> = Promise.resolve();

/** What a command changes in its whole process: the roots that are trusted. It gets a process of its own. */
const ownProcess = ['--ca', '--api-fingerprint'];

/**
 * A terminal of a person who operates the platform: a folder, an environment, and `signet` in it. The account that a
 * command is for is made first.
 */
export class Terminal implements AsyncDisposable {
  readonly folder: string;
  readonly env: Record<string, string>;

  readonly #platform: DevEnv | undefined;

  private constructor(folder: string, env: Record<string, string>, platform: DevEnv | undefined) {
    this.folder = folder;
    this.env = env;
    this.#platform = platform;
  }

  static async open(platform?: DevEnv): Promise<Terminal> {
    const folder = await mkdtemp(join(tmpdir(), 'signet-cli-'));
    const settings =
      platform === undefined
        ? {}
        : {
            SIGNET_URL: platform.operator.url,
            SIGNET_TOKEN: platform.operator.token,
            SIGNET_ACCOUNT: 'acme',
            SIGNET_BOOTSTRAP_URL: `https://localhost:${platform.ports.bootstrap}`,
          };
    const env = { PATH: process.env.PATH ?? '', XDG_CONFIG_HOME: join(folder, 'config'), ...settings };
    return new Terminal(folder, env, platform);
  }

  signet(...args: string[]): Promise<Done> {
    return this.signetWith({}, ...args);
  }

  /** In this process, with its folder, environment and output: starting Node for each command takes most of its time. */
  signetWith(more: Record<string, string>, ...args: string[]): Promise<Done> {
    const env = { ...this.env, ...more };
    const trusts = 'SIGNET_CA' in env || 'SIGNET_FINGERPRINT' in env || !('SIGNET_URL' in env);
    if (trusts || args.some((each) => ownProcess.includes(each))) return this.#run('main.ts', args, env);
    const done = turn.then(() => this.#here(args, env));
    turn = done.catch(() => {});
    return done;
  }

  async #here(args: readonly string[], env: Record<string, string>): Promise<Done> {
    await this.#makeAccounts(args, env);
    const before = process.cwd();
    const [stdout, stderr] = [new Sink(), new Sink()];
    const stopped = new AbortController().signal;
    process.chdir(this.folder);
    try {
      const code = await runCommand(args, { env, stopped, stdin: Readable.from([]), stdout, stderr });
      return { code, out: stdout.text, err: stderr.text };
    } finally {
      process.chdir(before);
    }
  }

  demo(...args: string[]): Promise<Done> {
    return this.#run(join('demo', 'main.ts'), args, this.env);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Another program, in the same folder. */
  async execute(
    program: string,
    args: readonly string[],
    env: Record<string, string> = {},
    input = '',
  ): Promise<Done> {
    const child = spawn(program, args, {
      cwd: this.folder,
      env: { PATH: process.env.PATH ?? '', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    return doneOf(child);
  }

  async #run(main: string, args: string[], env: Record<string, string>): Promise<Done> {
    await this.#makeAccounts(args, env);
    const child = spawn(process.execPath, [join(source, main), ...args], {
      cwd: this.folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return doneOf(child);
  }

  async #makeAccounts(args: readonly string[], env: Record<string, string>): Promise<void> {
    if (args[0] === 'accounts') return;
    const flagOf = (flag: string) => (args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined);
    const forToken = args[0] === 'tokens' ? flagOf('--for') : undefined;
    for (const account of [flagOf('--account') ?? env.SIGNET_ACCOUNT, forToken])
      if (account !== undefined) await this.#platform?.operator.makeAccount(account);
  }
}

async function doneOf(child: ChildProcessByStdio<Writable | null, Readable, Readable>): Promise<Done> {
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => (out += String(chunk)));
  child.stderr.on('data', (chunk) => (err += String(chunk)));
  await once(child, 'close');
  return { code: child.exitCode, out, err };
}
