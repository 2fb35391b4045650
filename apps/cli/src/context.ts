import type { Readable, Writable } from 'node:stream';
import type { Command } from 'commander';
import { ApiClient } from './api-client.ts';
import { CliError } from './cli-error.ts';
import { table } from './output.ts';
import { type Flags, readSettings } from './settings.ts';
import { trustApi } from './trust.ts';

/** What a command works with: the API, and how to say its result. Nothing else writes to standard output. */
export type Context = {
  readonly api: ApiClient;
  /** Prints `value` as one line of JSON with --json, else the text for people (JSON if there is none). */
  readonly say: <T>(value: T & OneValue<T>, text?: () => string) => void;
  /** Prints a list: with --json each value as a line of JSON, else a table, or the text that `show` makes of all values. */
  readonly list: <T>(
    values: Iterable<T> | AsyncIterable<T>,
    show: Columns<T> | ((values: readonly T[]) => string),
  ) => Promise<void>;
  /** Prints a text that is itself the result, such as a table or PEM; with --json as one JSON string on a line. */
  readonly print: (text: string) => void;
  /** Prints a piece of a text of lines, as it is; with --json they are JSON already. */
  readonly text: (piece: string) => void;
  /** Resolves when all of it is with whoever reads; where nobody does any more, the process ends. */
  readonly written: () => Promise<void>;
  readonly json: boolean;
  readonly stopped: AbortSignal;
  readonly stdin: Readable;
  /** For progress, and for what is not the result. */
  readonly stderr: Writable;
};

/** No list: `list` prints those, so that --json prints every list in the same form. */
type OneValue<T> = T extends readonly unknown[] ? never : T;

/** The columns of a table, each with what it shows of a value. */
export type Columns<T> = Readonly<Record<string, (value: T) => unknown>>;

/** What a command has of the process that it runs in. */
export type Environment = {
  readonly env: NodeJS.ProcessEnv;
  readonly stopped: AbortSignal;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
};

/**
 * Makes a command's action: settings are read when it runs, so that `--help` needs none. `offline`: it may do without
 * the API, and so without a token.
 */
export function action<A extends unknown[]>(
  program: Command,
  environment: Environment,
  run: (context: Context, ...args: A) => Promise<void>,
  { offline = false }: { readonly offline?: boolean } = {},
): (...args: A) => Promise<void> {
  return async (...args) => {
    const { json = false, ...flags } = program.opts<Flags & { json?: boolean }>();
    const settings = await readSettings(flags, environment.env, { needsToken: !offline });
    await trustApi(settings).catch((error: unknown) => {
      const isNeedless = offline && error instanceof CliError && error.isUnreachable;
      if (!isNeedless) throw error;
    });
    const { stopped, stdin, stdout, stderr } = environment;
    const api = new ApiClient(settings, stopped);
    api.onOwed(sayOwed(stderr));
    await run({ api, ...output(json, stdout), json, stopped, stdin, stderr }, ...args);
  };
}

/** Says on standard error, once, that something is accepted and not in force: the answer itself is as ever. */
function sayOwed(stderr: Writable): () => void {
  let said = false;
  return () => {
    if (!said)
      stderr.write(
        'accepted, not yet in force: no listener can have heard of it. It takes effect as soon as the bus carries it; see /ready of the services.\n',
      );
    said = true;
  };
}

/** How results are printed, with --json or for people. */
export function output(
  json: boolean,
  stdout: Writable,
): Pick<Context, 'say' | 'list' | 'print' | 'text' | 'written'> {
  const line = (text: string) => void stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  return {
    say: (value, text) => line(json || text === undefined ? JSON.stringify(value) : text()),
    async list(values, show) {
      if (json) for await (const value of values) line(JSON.stringify(value));
      else if (typeof show === 'function') line(show(await Array.fromAsync(values)));
      else line(await tableOf(values, show));
    },
    print: (text) => line(json ? JSON.stringify(text) : text),
    text: (piece) => void stdout.write(piece),
    written: () =>
      new Promise<void>((resolve, reject) => {
        stdout.write('', (error) => (error ? reject(error) : resolve()));
      }),
  };
}

async function tableOf<T>(values: Iterable<T> | AsyncIterable<T>, columns: Columns<T>): Promise<string> {
  const rows: unknown[][] = [];
  for await (const value of values) rows.push(Object.values(columns).map((cell) => cell(value)));
  return table(Object.keys(columns), rows);
}
