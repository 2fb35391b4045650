import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { AgentError } from '../agent-error.ts';
import type { DeviceFolder } from '../device-folder.ts';
import type {
  ConfigBody,
  ConfigEntry,
  FetchedConfig,
  GatewayClient,
  UpdateReport,
} from '../gateway-client.ts';
import type { Identity } from '../identity.ts';
import { eventId } from '../updates/update-state.ts';
import { type HandlerOutcome, type HandlerRules, runHandler } from './handlers.ts';
import { rotationOrder } from './rotation-order.ts';
import { plainValue } from './values.ts';

export type Applied = {
  readonly version: string;
  readonly changed: readonly string[];
  readonly failed: readonly string[];
  /** The rotation that a file of the config orders, if it is not the last one that was done. */
  readonly ordered: string | undefined;
};

/**
 * Fetches the device's config, if it has changed, and applies it: each file in plain text below `config/`, for the owner
 * alone, then the handlers of those that changed, then the report. A cut in between does it again.
 * @returns undefined where nothing has changed
 * @throws AgentError `refused`, `unreachable`, `bad-answer`, `bad-config`
 */
export async function applyConfig(
  folder: DeviceFolder,
  gateway: Pick<GatewayClient, 'config' | 'report'>,
  identity: Identity,
  options: { readonly handlers: HandlerRules; readonly now: () => number },
): Promise<Applied | undefined> {
  const kept = await folder.config();
  const fetched = await gateway.config(identity, kept?.modified);
  if (fetched === undefined || (fetched.version === '' && kept?.version === '')) return undefined;
  const before = kept === undefined ? await namesIn(join(folder.path, 'config')) : Object.keys(kept.body);
  const { changed, unread } = await writeFiles(folder, identity, before, fetched.body);
  const outcomes = await runHandlers(folder, fetched.body, changed, options.handlers);
  const failed = [...unread, ...outcomes.filter(({ success }) => !success)];
  await gateway.report(identity, [appliedReport(fetched, failed, options.now())]);
  // last: a cut before it does all of this again, and the platform hears no less of it
  await folder.putConfig(fetched);
  return {
    version: fetched.version,
    changed,
    failed: failed.map(({ name }) => name),
    ordered: await rotationOrder(folder, identity, fetched.body),
  };
}

/** The names of those that are new, different or gone; and those that this identity cannot read, which stay as they were. */
async function writeFiles(
  folder: DeviceFolder,
  identity: Identity,
  before: readonly string[],
  body: ConfigBody,
): Promise<{ readonly changed: string[]; readonly unread: Outcome[] }> {
  const changed: string[] = [];
  const unread: Outcome[] = [];
  for (const [name, entry] of Object.entries(body)) {
    requireFileName(name);
    const value = await plainValue(name, entry, identity).catch(ifUnreadable);
    if (typeof value === 'string') {
      unread.push({ name, success: false, output: value.slice(name.length + 2) });
      continue;
    }
    const path = pathOf(folder, name);
    if ((await folder.files.readBytes(path))?.equals(value) === true) continue;
    const fault = await write(folder, name, value);
    if (fault === undefined) changed.push(name);
    else unread.push({ name, success: false, output: fault });
  }
  for (const name of before) {
    if (name in body) continue;
    await folder.files.remove(pathOf(folder, name));
    changed.push(name);
  }
  return { changed, unread };
}

/** A file of one layer and a folder of another may have one name: the reason why this one is not written. */
async function write(folder: DeviceFolder, name: string, value: Buffer): Promise<string | undefined> {
  const path = pathOf(folder, name);
  try {
    await folder.files.replace(path, value);
  } catch (error) {
    const { cause } = error instanceof AgentError ? error : {};
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (!['EEXIST', 'EISDIR', 'ENOTDIR'].includes(code)) throw error;
    return 'another file of the config is in its place';
  }
  for (let depth = name.split('/').length; depth > 1; depth--)
    await folder.files.calls.syncFolder(join(path, ...Array.from({ length: depth }, () => '..')));
  return undefined;
}

/** What was written by a config that is not known any more. */
async function namesIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true, recursive: true }).catch(() => []);
  return entries.flatMap((entry) =>
    entry.isFile() ? [relative(path, join(entry.parentPath, entry.name))] : [],
  );
}

/** Why a value cannot be read: no reason to leave the others as they were. */
function ifUnreadable(error: unknown): string {
  if (error instanceof AgentError && error.code === 'bad-config') return error.message;
  throw error;
}

type Outcome = HandlerOutcome & { readonly name: string };

async function runHandlers(
  folder: DeviceFolder,
  body: ConfigBody,
  changed: readonly string[],
  rules: HandlerRules,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const name of changed) {
    const command = commandOf(body[name]);
    if (command === undefined) continue;
    outcomes.push({ name, ...(await runHandler(command, pathOf(folder, name), rules)) });
  }
  return outcomes;
}

/** The agent itself renews; all else is a program. */
function commandOf(entry: ConfigEntry | undefined): readonly string[] | undefined {
  const command = entry?.OnChanged;
  if (command === undefined || command.length === 0) return undefined;
  return command[0]?.split('/').at(-1) === 'renew-client-cert' ? undefined : command;
}

function appliedReport(
  { version, modified }: FetchedConfig,
  failed: readonly Outcome[],
  now: number,
): UpdateReport {
  const details = failed.map(({ name, output }) => `${name}: ${output}`).join('\n');
  return {
    id: eventId(`config-${version}/${modified}`, details),
    deviceTime: new Date(now).toISOString(),
    event: {
      correlationId: `config-${version}`,
      targetName: modified,
      version,
      success: failed.length === 0,
      ...(details === '' ? {} : { details: details.slice(0, 4000) }),
    },
    eventType: { id: 'ConfigApplied', version: 0 },
  };
}

function pathOf(folder: DeviceFolder, name: string): string {
  return join(folder.path, 'config', name);
}

/** The server checks it too; a name never leads out of the folder whoever sent it. */
function requireFileName(name: string): void {
  const isSafe = name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  if (isSafe && !name.includes('\0') && Buffer.byteLength(name) <= 255) return;
  throw new AgentError('bad-config', `config: "${name.slice(0, 64)}" is no name of a file`);
}
