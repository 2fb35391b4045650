import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { readIfThere, replaceFile } from '@signet/files';
import { findRunningPlatform, type RunningPlatform } from '@signet/service/running-platform';
import { z } from 'zod';
import { CliError, messageOf } from './cli-error.ts';

/** Where the API is, who calls, and for which account. */
export type Settings = {
  readonly url: string;
  readonly token: string;
  readonly account: string;
  /** File of the roots (PEM) that the API's certificate must chain to; absent: those of the system. */
  readonly ca?: string | undefined;
  /** SHA-256 of the API's own certificate, which is trusted in place of a root: one of last resort has none. */
  readonly fingerprint?: string | undefined;
  /** The platform of the data folder, where the API is its. */
  readonly running?: RunningPlatform;
};

export type Flags = {
  readonly url?: string;
  readonly token?: string;
  readonly account?: string;
  readonly ca?: string;
  readonly apiFingerprint?: string;
};

const File = z.object({
  url: z.url().optional(),
  token: z.string().optional(),
  account: z.string().optional(),
  ca: z.string().optional(),
  fingerprint: z.string().optional(),
});

const DEFAULT_URL = 'http://127.0.0.1:8080';
const DEFAULT_ACCOUNT = 'default';

export function settingsFile(env: NodeJS.ProcessEnv): string {
  return join(env.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'signet', 'config.json');
}

/**
 * Flags, then SIGNET_URL, SIGNET_TOKEN, SIGNET_ACCOUNT, SIGNET_CA and SIGNET_FINGERPRINT, then
 * `~/.config/signet/config.json`, then the platform that runs on the data folder (SIGNET_DATA_DIR, `./data`) and the
 * token that `npm start` left there.
 * @throws CliError where there is no token, and one is needed
 */
export async function readSettings(
  flags: Flags,
  env: NodeJS.ProcessEnv,
  { needsToken = true }: { readonly needsToken?: boolean } = {},
): Promise<Settings> {
  const path = settingsFile(env);
  const text = await readIfThere(path);
  const file = text === undefined ? {} : parseFile(path, text);
  const dataDir = env.SIGNET_DATA_DIR || './data';
  const named = flags.url ?? env.SIGNET_URL ?? file.url;
  // what runs on this machine is asked only where nothing else is named
  const running = named === undefined ? findRunningPlatform(dataDir) : undefined;
  const own = flags.token ?? env.SIGNET_TOKEN ?? file.token;
  // whoever made the folder says where that is: a token from elsewhere does not leave this machine for it
  if (running !== undefined && own !== undefined && !isLoopback(running.api))
    throw new CliError(
      `${dataDir}/platform.json names ${running.api}: pass it as --url if your token may be sent there`,
    );
  const token = own ?? (await readIfThere(join(dataDir, 'admin-token')))?.trim();
  if (token === undefined && needsToken) {
    throw new CliError(
      `no API token: give --token, SIGNET_TOKEN, "token" in ${path}, or run in the folder with ${dataDir}/admin-token`,
    );
  }
  if (token !== undefined && !/^[\x21-\x7e]*$/.test(token))
    throw new CliError(
      'the API token contains a character that tokens cannot have: a space, a line break, or a non-ASCII character',
    );
  return {
    url: apiUrl(named ?? running?.api ?? DEFAULT_URL),
    ...(running === undefined ? {} : { running }),
    token: token ?? '',
    account: flags.account ?? env.SIGNET_ACCOUNT ?? file.account ?? DEFAULT_ACCOUNT,
    ca: flags.ca ?? env.SIGNET_CA ?? file.ca,
    fingerprint: flags.apiFingerprint ?? env.SIGNET_FINGERPRINT ?? file.fingerprint,
  };
}

function isLoopback(url: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(url).hostname);
}

/** Keeps one setting in the config file (mode 0600). @throws CliError where there is no such setting, or it cannot be one */
export async function writeSetting(name: string, value: string, env: NodeJS.ProcessEnv): Promise<string> {
  const path = settingsFile(env);
  if (!Object.hasOwn(File.shape, name))
    throw new CliError(`${name}: unknown setting; use one of ${Object.keys(File.shape).join(', ')}`);
  const text = await readIfThere(path);
  // a file is meant from where it was named, wherever it is read from
  const kept = name === 'ca' ? resolve(value) : value;
  const changed = File.safeParse({ ...(text === undefined ? {} : parseFile(path, text)), [name]: kept });
  if (!changed.success) throw new CliError(`${name}: ${changed.error.issues[0]?.message}`);
  await replaceFile(path, `${JSON.stringify(changed.data, undefined, 2)}\n`);
  return path;
}

/** @throws CliError where it is no address of an API */
function apiUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.hostname === '')
    throw new CliError(`"${text}" is not a URL of the API; use http://… or https://… (--url, SIGNET_URL)`);
  return text;
}

function parseFile(path: string, text: string): z.infer<typeof File> {
  try {
    return File.parse(JSON.parse(text));
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? 'is not JSON' : messageOf(cause);
    throw new CliError(`${path}: ${reason}`, { cause });
  }
}
