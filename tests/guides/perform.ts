import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { printed } from './compare.ts';
import { provide } from './provide.ts';
import { type Printed, readGuide, type Step } from './read.ts';
import { commandsOf, Terminal } from './terminal.ts';

/**
 * Runs inside the copy of the machine that enter.sh makes: `perform.ts <guide> <what is there>…`. It does what the
 * page says, from top to bottom, and prints a transcript; the last line is the result as JSON.
 */
export type Result = {
  readonly failures: readonly Failure[];
  /** Lines of blocks that were not run, with the need that is not there. */
  readonly notRun: readonly { readonly line: number; readonly need: string }[];
  readonly ran: number;
};
export type Failure = {
  readonly line: number;
  readonly command: string;
  readonly problem: string;
  /** What the page prints, with the line where it does. */
  readonly expected?: Printed;
  readonly got: string;
};

const COMMAND_MS = 120_000;
const AGAIN_MS = 90_000;
/** As soon as a person looks again. */
const AGAIN_EVERY_MS = 500;
const ENOUGH = 12;

const [file = '', ...there] = process.argv.slice(2);
// whoever started this is gone: so is all that runs here
process.stdin.resume().on('end', () => process.exit(1));

const clone = process.cwd();
const say = (text: string) => process.stdout.write(`${text.trimEnd()}\n`);
const { steps } = readGuide(readFileSync(file, 'utf8'));
const wanted = there.filter((name) => steps.some(({ needs }) => needs.includes(name)));
const env = await provide(clone, wanted);
const terminals = new Map<string, Terminal>();
const failures: Failure[] = [];
const notRun: { line: number; need: string }[] = [];
let ran = 0;

// a page begins beside a fresh `npm start`, unless it begins with one of its own
const startsItself = /^[^#\n]*\bnpm (start|run start:services)\b/m;
if (!startsItself.test(steps.find(({ kind }) => kind === 'shell')?.text ?? '')) {
  const start = { line: 0, text: 'npm start\n', needs: [], exit: 0, again: false } as const;
  await shell({ ...start, kind: 'shell', terminal: 'platform', until: 'npx signet status' });
}
for (const step of steps) {
  if (failures.length >= ENOUGH) break;
  const need = step.needs.find((name) => !there.includes(name));
  if (need !== undefined) notRun.push({ line: step.line, need });
  else if (step.kind === 'file') write(step);
  else await shell(step);
}
say(JSON.stringify({ failures, notRun, ran } satisfies Result));
process.exit(0);

function write({ path, text }: Step & { kind: 'file' }): void {
  const target = resolve(clone, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
}

async function shell(step: Step & { kind: 'shell' }): Promise<void> {
  const name = step.terminal;
  const terminal = terminals.get(name) ?? new Terminal(clone, env);
  terminals.set(name, terminal);
  await terminal.interrupt();
  const patience = performance.now() + (step.again ? AGAIN_MS : 0);
  for (;;) {
    const { failure, transcript } = await once(step, terminal);
    if (failure !== undefined && performance.now() < patience) {
      await setTimeout(AGAIN_EVERY_MS);
      continue;
    }
    say(transcript);
    if (failure === undefined) return;
    failures.push(failure);
    say(`*** line ${failure.line}: ${failure.problem}`);
    return;
  }
}

async function once(
  step: Step & { kind: 'shell' },
  terminal: Terminal,
): Promise<{ failure?: Failure; transcript: string }> {
  const commands = commandsOf(step.text, step.line + 1);
  let transcript = '';
  let output = '';
  for (const [index, { line, text }] of commands.entries()) {
    const last = index === commands.length - 1;
    const until = last ? step.until : undefined;
    terminal.enter(text);
    const result = await terminal.result(COMMAND_MS, until);
    ran++;
    output += result.output;
    transcript += `${step.terminal === 'first' ? '' : step.terminal}$ ${text}${result.output}`;
    const fail = (problem: string, expected?: Printed) => ({
      failure: {
        ...{ line, command: text.trim(), problem, got: output.replace(/^\s*\n|\s+$/g, '') },
        ...(expected === undefined ? {} : { expected }),
      },
      transcript,
    });
    const exit = last ? step.exit : 0;
    if (until !== undefined && result.code !== undefined)
      return fail(`ended with ${result.code}, and did not go on with a line that has: ${until}`);
    if (until === undefined && result.code !== exit)
      return fail(`ended with ${result.code}, and not with ${exit}`);
    if (last && step.output !== undefined && !printed(step.output.text, output))
      return fail('did not print what the page says', step.output);
  }
  return { transcript };
}
