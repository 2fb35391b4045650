import type { Command } from 'commander';
import { ApiClient } from './api-client.ts';
import { CliError } from './cli-error.ts';
import { type Flags, readSettings } from './settings.ts';
import { trustFingerprint, trustOnly } from './trust.ts';

/** What a command works with: the API, and how to say its result. */
export type Context = {
  readonly api: ApiClient;
  /** Prints `value` as one JSON line with --json, else the text for people. */
  readonly say: (value: unknown, text: () => string) => void;
  readonly json: boolean;
  readonly stopped: AbortSignal;
};

export type Environment = { readonly env: NodeJS.ProcessEnv; readonly stopped: AbortSignal };

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
    if (settings.fingerprint !== undefined)
      await trustFingerprint(settings.url, settings.fingerprint).catch((error: unknown) => {
        const isNeedless = offline && error instanceof CliError && error.isUnreachable;
        if (!isNeedless) throw error;
      });
    else if (settings.ca !== undefined) await trustOnly(settings.ca);
    const api = new ApiClient(settings);
    const say = (value: unknown, text: () => string) => console.log(json ? JSON.stringify(value) : text());
    await run({ api, say, json, stopped: environment.stopped }, ...args);
  };
}
