import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { z } from 'zod';
import { AgentError } from '../agent-error.ts';
import { type HandlerOutcome, type HandlerRules, runProgram } from '../config/handlers.ts';
import { type Part, parts } from './contents.ts';

const signals = ['SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGTERM'] as const;
const common = {
  name: z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 _ . -'),
  /** What it wants to be told of; by default all. */
  on: z
    .array(z.enum(parts))
    .min(1)
    .default([...parts]),
};
const Signalled = z.strictObject({
  ...common,
  pidFile: z.string().startsWith('/', 'must be an absolute path'),
  signal: z.enum(signals).default('SIGHUP'),
  /** The name that the process must bear (`/proc/<pid>/comm`): an old file may hold a number that is another's by now. */
  process: z.string().min(1).optional(),
});
const Commanded = z.strictObject({
  ...common,
  /** A program of the handlers' folder with its arguments. */
  command: z.array(z.string()).min(1),
});
export type User = z.infer<typeof Signalled> | z.infer<typeof Commanded>;

/** Reads `users.json`. @throws AgentError `bad-users` naming the field */
export function parseUsers(text: string): readonly User[] {
  const entries = parsed('', z.array(z.looseObject({})), json(text));
  const users = entries.map((entry, index): User => {
    if ('pidFile' in entry) return parsed(`[${index}]`, Signalled, entry);
    return parsed(`[${index}]`, Commanded, entry);
  });
  const names = users.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new AgentError('bad-users', `users.json: "${twice}" stands there twice`);
  return users;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AgentError('bad-users', `users.json: ${(cause as Error).message}`, { cause });
  }
}

function parsed<T>(where: string, schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [{ path, message } = { path: [], message: '' }] = result.error.issues;
  const field = [where, ...path.map(String)].filter((part) => part !== '').join('.');
  throw new AgentError('bad-users', `users.json: ${field === '' ? '' : `${field}: `}${message}`);
}

/** Tells a user: its process by a signal, or by a program that is given `IDENTITY_FOLDER` and `CHANGED`. */
export function tellUser(
  user: User,
  news: { readonly folder: string; readonly changed: readonly Part[] },
  rules: HandlerRules,
): Promise<HandlerOutcome> {
  if ('pidFile' in user) return signalled(user);
  const env = { IDENTITY_FOLDER: news.folder, CHANGED: news.changed.join(' ') };
  return runProgram(user.command, { env }, rules);
}

async function signalled(user: z.infer<typeof Signalled>): Promise<HandlerOutcome> {
  const failed = (output: string) => ({ success: false, output });
  const text = await readFile(user.pidFile, 'utf8').catch(() => undefined);
  if (text === undefined) return failed(`${user.pidFile}: not there`);
  const pid = /^\s*(\d{1,9})\s*$/.exec(text)?.[1];
  if (pid === undefined || Number(pid) < 1 || Number(pid) === process.pid)
    return failed(`${user.pidFile}: no number of another process`);
  if (user.process !== undefined) {
    const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
    if (name !== user.process) return failed(`process ${pid} is "${name}", not ${user.process}`);
  }
  try {
    process.kill(Number(pid), user.signal);
    return { success: true, output: `${user.signal} to process ${pid}` };
  } catch (error) {
    return failed(`process ${pid}: ${(error as Error).message}`);
  }
}
