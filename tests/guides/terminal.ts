import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One command as a reader would enter it, with the line of the page that it begins on. */
export type Entered = { readonly line: number; readonly text: string };

/** Cuts a block into the commands that a shell would take from it one after the other. */
export function commandsOf(block: string, firstLine: number): Entered[] {
  const commands: Entered[] = [];
  let text = '';
  let line = firstLine;
  for (const [index, next] of block.trimEnd().split('\n').entries()) {
    if (text === '') line = firstLine + index;
    text += `${next}\n`;
    if (!complete(text)) continue;
    if (!/^(\s*(#.*)?\n)*$/.test(text)) commands.push({ line, text });
    text = '';
  }
  if (text !== '') commands.push({ line, text });
  return commands;
}

function complete(text: string): boolean {
  if (/\\\n$/.test(text)) return false;
  const { status, stderr } = spawnSync('bash', ['-n'], { input: text, encoding: 'utf8' });
  return status === 0 && !stderr.includes('here-document');
}

/** Before and after the exit code that the shell prints behind a command's output. */
const MARK = '\x1e';

/** Takes a file with a command each time, in the shell itself, so that `cd`, variables and jobs hold. */
const loop = `
trap : INT
while IFS= read -r file <&3; do
  . "$file" </dev/null 3<&-
  printf '${MARK}%d${MARK}' $?
done
`;

/** A terminal with a shell. Ctrl-C goes to what runs in its foreground. */
export class Terminal {
  readonly #shell: ChildProcessWithoutNullStreams;
  readonly #folder = mkdtempSync(join(tmpdir(), 'terminal-'));
  #entered = 0;
  #output = '';
  #gone = false;
  #wake = Promise.withResolvers<void>();
  /** Whether a command has not come to its end. */
  busy = false;

  constructor(cwd: string, env: Readonly<Record<string, string>>) {
    // one pipe for both outputs, so that they come in the order in which a person sees them
    const script = `exec 2>&1; ${loop}`;
    this.#shell = spawn('bash', ['--norc', '--noprofile', '-c', script], {
      ...{ cwd, env, detached: true },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    }) as unknown as ChildProcessWithoutNullStreams;
    this.#shell.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
      this.#rouse();
    });
    this.#shell.on('exit', () => {
      this.#gone = true;
      this.#rouse();
    });
  }

  enter(command: string): void {
    const file = join(this.#folder, String(this.#entered++));
    writeFileSync(file, command);
    this.#output = '';
    this.busy = true;
    (this.#shell.stdio[3] as unknown as NodeJS.WritableStream).write(`${file}\n`);
  }

  /** Waits until the command has ended, or has printed `until` in a whole line. */
  async result(deadlineMs: number, until?: string): Promise<{ output: string; code: number | undefined }> {
    const late = AbortSignal.timeout(deadlineMs);
    late.addEventListener('abort', () => this.#rouse(), { once: true });
    for (;;) {
      const ended = new RegExp(`${MARK}(\\d+)${MARK}`).exec(this.#output);
      if (ended !== null) {
        this.busy = false;
        return { output: this.#output.slice(0, ended.index), code: Number(ended[1]) };
      }
      const at = until === undefined ? -1 : this.#output.indexOf(until);
      const end = at < 0 ? -1 : this.#output.indexOf('\n', at);
      if (end >= 0) return { output: this.#output.slice(0, end), code: undefined };
      if (this.#gone) return { output: `${this.#output}\n(the shell ended)`, code: -1 };
      if (late.aborted) return { output: `${this.#output}\n(no end after ${deadlineMs / 1000} s)`, code: -1 };
      await this.#wake.promise;
    }
  }

  async interrupt(): Promise<void> {
    if (!this.busy || this.#shell.pid === undefined) return;
    process.kill(-this.#shell.pid, 'SIGINT');
    const { output, code } = await this.result(20_000);
    if (code === -1) throw new Error(`Ctrl-C did not end it:\n${output}`);
  }

  #rouse(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}
