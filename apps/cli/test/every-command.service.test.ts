import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { generateKeyPair } from '@signet/pki';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageOf } from '../src/cli-error.ts';
import { buildProgram } from '../src/program.ts';
import { runCommand } from '../src/run-command.ts';
import { asDocumented, type StandIn, serve } from './answers.ts';
import { Sink } from './signet.ts';

/** Whatever the command, found by the tree of commands: a new one is tried without a line here. */
const folder = mkdtempSync(join(tmpdir(), 'signet-every-'));
const there = join(folder, 'there');
const stack = new AsyncDisposableStack();
const servers: Record<string, StandIn> = {};

beforeAll(async () => {
  // what a command writes without --out goes where it is run
  process.chdir(folder);
  const { privateKey } = generateKeyPair('P-256');
  writeFileSync(there, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  servers.documented = stack.use(await serve(asDocumented));
  servers.html = stack.use(await serve((_, response) => void response.end('<html>a proxy</html>')));
  servers.fails = stack.use(
    await serve((_, response) => void response.writeHead(502).end('<html>\n<h1>Bad Gateway</h1>\n</html>')),
  );
  servers.hangsUp = stack.use(await serve((request) => void request.socket.destroy()));
  servers.silent = stack.use(await serve(() => {}));
});
afterAll(async () => {
  await stack.disposeAsync();
  rmSync(folder, { recursive: true, force: true });
});

type Leaf = { readonly words: string[]; readonly command: Command };
type Ran = { readonly out: string; readonly failure: string | undefined };

function leaves(command: Command, words: string[] = []): Leaf[] {
  if (command.commands.length === 0) return words[0] === 'help' ? [] : [{ words, command }];
  return command.commands.flatMap((each) => leaves(each, [...words, each.name()]));
}

const environment = (stopped = new AbortController().signal) => {
  const [out, err] = [new Sink(), new Sink()];
  const env = { SIGNET_TOKEN: 'sgn_x', XDG_CONFIG_HOME: folder, SIGNET_ROOT_PASSPHRASE: 'x' };
  return { env, stopped, stdin: Readable.from([]), stdout: out, stderr: err };
};

/** Runs one command in this process: its output, and the line that it fails with. */
async function run(args: readonly string[], stopped?: AbortSignal): Promise<Ran> {
  const terminal = environment(stopped);
  try {
    const code = await runCommand(args, terminal);
    return { out: terminal.stdout.text, failure: code === 0 ? undefined : terminal.stderr.text.trimEnd() };
  } catch (error) {
    return { out: terminal.stdout.text, failure: `signet: ${messageOf(error)}` };
  }
}

/** What stands for a value where a command asks for one, by the name that the help gives it. */
function sample(placeholder: string, name = placeholder): string {
  if (/file|certificate|csr|crl|log$/i.test(placeholder)) return there;
  if (/^out|folder|path/i.test(name)) return join(folder, `out-${Math.random()}`);
  if (/^(n|count|seconds|hours|days)$/.test(placeholder)) return '2';
  if (placeholder === 'time') return '2027-01-31T12:00:00Z';
  if (/url/.test(placeholder)) return 'https://signet.example';
  if (placeholder === 'json') return '{}';
  if (placeholder === 'on|off') return 'on';
  return name === 'setting' ? 'profile' : 'x';
}

const placeholder = (flags: string) => /[<[]([^\]>]+?)(\.{3})?[\]>]/.exec(flags)?.[1];

/** The command with all that it must have. `give` is an option more, or an argument's place, and its value. */
function argsOf(
  { words, command }: Leaf,
  give: { option?: string; argument?: number; value: string } = { value: '' },
): string[] {
  const positional = command.registeredArguments
    .map((argument, i) => (i === give.argument ? give.value : sample(argument.name())))
    .filter((_, i) => command.registeredArguments[i]?.required === true || i === give.argument);
  const options = command.options.flatMap((option) => {
    const flag = option.long ?? '';
    if (flag === give.option) return [flag, give.value];
    return option.mandatory ? [flag, sample(placeholder(option.flags) ?? '', flag.slice(2))] : [];
  });
  return [...words, ...positional, ...options];
}

/** One line for a person, with no trace of where in the program it came from. */
function expectOneLine(failure: string | undefined, args: readonly string[]): void {
  const said = failure ?? '';
  expect(said.split('\n'), args.join(' ')).toHaveLength(1);
  expect(said, args.join(' ')).toMatch(/^signet: ./);
  expect(said, args.join(' ')).not.toMatch(
    /\bat .*:\d+:\d+|\[object |undefined|ENOENT|node:|is not a function|reading '|[{}]"/,
  );
}

const all = leaves(buildProgram(environment()));

it('the tree of commands is walked', () => {
  expect(all.length).toBeGreaterThan(90);
});

describe.each(all.map((leaf) => [leaf.words.join(' '), leaf] as const))('signet %s', (_, leaf) => {
  it('prints JSON alone, one value a line, with --json', async () => {
    const args = [...argsOf(leaf), '--json', '--url', servers.documented?.url ?? ''];
    const { out, failure } = await run(args);
    if (failure !== undefined) expectOneLine(failure, args);
    for (const line of out.split('\n').filter((text) => text !== ''))
      expect(() => JSON.parse(line), `${args.join(' ')}: ${line}`).not.toThrow();
  });

  it('prints each value of a list on a line of its own with --json', async () => {
    const { out } = await run([...argsOf(leaf), '--json', '--url', servers.documented?.url ?? '']);
    // the content of a config file, which is a list as a whole
    if (leaf.words.join(' ') === 'updates sign') return;
    for (const line of out.split('\n').filter((text) => text !== ''))
      expect(Array.isArray(JSON.parse(line)), line).toBe(false);
  });

  it('prints something for people that is no JSON of undefined', async () => {
    const args = [...argsOf(leaf), '--url', servers.documented?.url ?? ''];
    const { out, failure } = await run(args);
    if (failure !== undefined) return expectOneLine(failure, args);
    expect(out, args.join(' ')).not.toMatch(/\[object Object\]|\bNaN\b/);
  });

  it.each([
    ['an address that is none', () => 'signet.example:8080/v1'],
    ['a wrong scheme', () => 'ftp://signet.example'],
    ['nobody there', () => 'http://127.0.0.1:9'],
    ['a server that speaks no TLS', () => servers.documented?.url.replace('http', 'https')],
    ['a web page in place of the API', () => servers.html?.url],
    ['a gateway that fails', () => servers.fails?.url],
    ['a server that hangs up', () => servers.hangsUp?.url],
  ])('tells of %s in one line', async (_case, url) => {
    const args = [...argsOf(leaf), '--url', url() ?? ''];
    const { failure } = await run(args);
    if (failure !== undefined) expectOneLine(failure, args);
  });

  it('ends at once when it is interrupted while it waits for an answer', async () => {
    const stopped = new AbortController();
    const running = run([...argsOf(leaf), '--url', servers.silent?.url ?? ''], stopped.signal);
    setImmediate(() => stopped.abort());
    await running;
  });

  const values = [
    ...leaf.command.options.map((option) => ({
      name: option.long ?? '',
      placeholder: placeholder(option.flags),
      give: (value: string) => ({ option: option.long ?? '', value }),
    })),
    ...leaf.command.registeredArguments.map((argument, index) => ({
      name: argument.name(),
      placeholder: argument.name(),
      give: (value: string) => ({ argument: index, value }),
    })),
  ];

  const files = values.filter((one) => /^(file|certificate|csr|crl|log)$/.test(one.placeholder ?? ''));
  it.skipIf(files.length === 0)('names a file that is not there, and one that is a folder', async () => {
    for (const { name, give } of files)
      for (const path of [join(folder, 'nowhere', 'x'), folder]) {
        const args = [...argsOf(leaf, give(path)), '--url', servers.documented?.url ?? ''];
        const { failure } = await run(args);
        // what is written may be made; what is read is not there
        if (failure !== undefined) expectOneLine(failure, [name, ...args]);
      }
  });

  const numbers = values.filter((one) =>
    /^(n|count|seconds|hours|days|minutes|time)$/.test(one.placeholder ?? ''),
  );
  it.skipIf(numbers.length === 0)(
    'refuses what is no number or no time, by the name of the option',
    async () => {
      for (const { name, give } of numbers)
        for (const wrong of ['x', '', '-1', '1.5x']) {
          const args = [...argsOf(leaf, give(wrong)), '--url', servers.documented?.url ?? ''];
          const { failure } = await run(args);
          expectOneLine(failure, args);
          expect(failure).toContain(name);
        }
    },
  );
});
