import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const main = join(import.meta.dirname, '..', 'src', 'main.ts');

/** `npm start` as a child process on free ports. */
export class StandaloneProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #out = '';
  #err = '';

  /** `cwd`: where it is started; `args`: what stands behind `npm start --`. */
  constructor(dataDir: string, env: Record<string, string> = {}, cwd?: string, args: readonly string[] = []) {
    const ports = ['EST', 'EST_HTTP', 'MQTT', 'MQTT_PROVISIONING', 'GATEWAY', 'BOOTSTRAP', 'ADMIN', 'HEALTH'];
    this.#child = spawn(process.execPath, [main, ...args], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH ?? '',
        ...Object.fromEntries(ports.map((name) => [`SIGNET_${name}_PORT`, '0'])),
        SIGNET_DATA_DIR: dataDir,
        SIGNET_STORE: `sqlite:${join(dataDir, 'signet.db')}`,
        ...env,
      },
    });
    this.#ended = once(this.#child, 'close');
    this.#child.stdout?.on('data', (chunk) => (this.#out += String(chunk)));
    this.#child.stderr?.on('data', (chunk) => (this.#err += String(chunk)));
  }

  get out(): string {
    return this.#out;
  }

  get err(): string {
    return this.#err;
  }

  /** The greeting, once it is whole. @throws Error with what was said, where the process ends instead */
  async ready(): Promise<string> {
    const ended = this.#ended.then(() => {
      throw new Error(`it ended: ${this.#out}${this.#err}`);
    });
    const whole = new Promise<void>((resolve) => {
      const look = () => {
        if (/^ {2}npx signet status$/m.test(this.#out)) resolve();
      };
      this.#child.stdout?.on('data', look);
      look();
    });
    await Promise.race([whole, ended]);
    return this.#out;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The URL behind a name in the greeting; of a name that is there more than once the `nth`. */
  url(name: string, nth = 0): string {
    const url = [...this.#out.matchAll(new RegExp(`^  ${name} +(\\S+)`, 'gm'))][nth]?.[1];
    if (url === undefined) throw new Error(`no ${name} in: ${this.#out}`);
    return url;
  }

  /** Sends a signal; resolves with the exit code and how long the end took, ms. */
  async stop(signal: NodeJS.Signals): Promise<{ code: number | null; ms: number }> {
    const start = performance.now();
    this.#child.kill(signal);
    await this.#ended;
    return { code: this.#child.exitCode, ms: performance.now() - start };
  }

  async ended(): Promise<number | null> {
    await this.#ended;
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
