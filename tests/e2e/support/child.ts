import { type ChildProcess, spawn } from 'node:child_process';

const DEADLINE_MS = 20_000;

/** A program that runs beside the test; its lines of standard output and error are waited for. */
export class Child implements AsyncDisposable {
  readonly lines: string[] = [];
  /** Its exit code, once it is gone. */
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #command: string;
  #wake = Promise.withResolvers<void>();
  #gone = false;

  constructor(
    program: string,
    args: readonly string[],
    options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
  ) {
    this.#command = `${program} ${args.join(' ')}`;
    this.#child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { promise, resolve } = Promise.withResolvers<number | null>();
    this.exited = promise;
    this.#child.once('error', (error) => this.#take(String(error)));
    this.#child.once('close', (code) => {
      this.#gone = true;
      resolve(code);
      this.#rouse();
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) this.#listen(stream);
  }

  /** The first line that matches, waited for. @throws Error with all lines if it ends or is late without it */
  async line(pattern: RegExp, deadlineMs = DEADLINE_MS): Promise<string> {
    const late = AbortSignal.timeout(deadlineMs);
    late.addEventListener('abort', () => this.#rouse(), { once: true });
    for (let seen = 0; ; ) {
      for (; seen < this.lines.length; seen++) {
        const line = this.lines[seen];
        if (line !== undefined && pattern.test(line)) return line;
      }
      if (late.aborted || this.#gone) {
        throw new Error(`${this.#command}: said nothing like ${pattern}:\n${this.lines.join('\n')}`);
      }
      await this.#wake.promise;
    }
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // mosquitto_sub does not listen to SIGTERM while it waits to connect again
    if (!this.#gone) this.kill('SIGKILL');
    await this.exited;
  }

  #listen(stream: NodeJS.ReadableStream | null): void {
    let rest = '';
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#take(line);
    });
    stream?.on('end', () => rest !== '' && this.#take(rest));
  }

  #take(line: string): void {
    this.lines.push(line);
    this.#rouse();
  }

  #rouse(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}
