import {
  Account,
  ConfigFile,
  ConfigLogEntry,
  GroupName,
  MAX_CONFIG_FILES,
  OperationError,
  Time,
} from '@signet/contracts';
import { isEncryptedConfigValue } from '@signet/pki';
import type { Collection } from '@signet/store';
import { z } from 'zod';

const KEPT_LOG = 50;

/** `changedAt` of a layer that was never written: no client holds a time before it. */
export const NEVER = new Date(0).toISOString();

/** What every layer of config has. `version` grows by one with each change. */
export const LayerFields = z.object({
  version: z.number().int().min(0),
  /** When this version is from as clients see it: the time of the change, or later (see `nextVersion`). */
  changedAt: Time,
  files: z.array(ConfigFile),
  /** The newest last. */
  log: z.array(ConfigLogEntry),
});
export type LayerFields = z.infer<typeof LayerFields>;

/** A layer that several devices read: of an account (`<account>`), or of a group in it (`<account>/<group>`). */
export const SharedLayer = LayerFields.extend({
  id: z.string(),
  account: Account,
  group: GroupName.optional(),
});
export type SharedLayer = z.infer<typeof SharedLayer>;

export type SharedLayers = Collection<SharedLayer, never>;

export function sharedLayerId(account: string, group?: string): string {
  return group === undefined ? account : `${account}/${group}`;
}

/** A change of a layer: files to write, by name, and names of files to take away. */
export type LayerChange = {
  readonly set?: readonly ConfigFile[];
  readonly remove?: readonly string[];
  readonly by: string;
  readonly reason: string;
  readonly now: number;
};

/**
 * The layer with the change in it (device-gateway: `PATCH /config` merges by name).
 * @throws OperationError `invalid-input`, `not-encrypted`, `too-many-files`, `unknown-file`
 */
export function applyChange<T extends LayerFields>(held: T, layer: string, change: LayerChange): T {
  const { set = [], remove = [], by, reason, now } = change;
  const written = new Set(set.map(({ name }) => name));
  if (written.size < set.length) throw rejectFiles('invalid-input', 'a name is in it twice');
  const open = set.find(
    ({ value, unencrypted }) => !unencrypted && value !== '' && !isEncryptedConfigValue(value),
  );
  if (open !== undefined)
    throw rejectFiles(
      'not-encrypted',
      `"${open.name}" is neither marked unencrypted nor encrypted to a device's key`,
    );
  const unknown = remove.find((name) => !held.files.some((file) => file.name === name));
  if (unknown !== undefined)
    throw new OperationError('unknown-file', `names: the layer has no file "${unknown}"`, { field: 'names' });
  const gone = new Set([...written, ...remove]);
  const files = [...held.files.filter(({ name }) => !gone.has(name)), ...set];
  if (files.length > MAX_CONFIG_FILES)
    throw rejectFiles('too-many-files', `${files.length} in one layer, at most ${MAX_CONFIG_FILES}`);
  const inTheWay = files.find(({ name }) => files.some((other) => other.name.startsWith(`${name}/`)));
  if (inTheWay !== undefined)
    throw rejectFiles('invalid-input', `"${inTheWay.name}" is a file and a folder of another one`);
  return nextVersion({ ...held, files }, { layer, by, reason, now, set: [...written], removed: [...remove] });
}

export function rejectFiles(
  code: 'invalid-input' | 'not-encrypted' | 'too-many-files' | 'shared-layer',
  reason: string,
): OperationError {
  return new OperationError(code, `files: ${reason}`, { field: 'files' });
}

/** Versions of a config are at least so far apart, ms: the second after a version's own shows that a key was promoted. */
const VERSION_GRAIN_MS = 2000;

/**
 * The next version. Clients tell versions apart by their time in whole seconds, so it is later than any time that a
 * client can hold: that of the version before, and the second after it ({@link modifiedAt}), whatever the clock says.
 */
export function nextVersion<T extends LayerFields>(
  held: T,
  entry: Omit<ConfigLogEntry, 'version' | 'at'> & { readonly now: number },
): T {
  const { now, ...told } = entry;
  const version = held.version + 1;
  const time = Math.max(now, wholeSecond(Date.parse(held.changedAt)) + VERSION_GRAIN_MS);
  const log = [...held.log, { ...told, version, at: new Date(now).toISOString() }].slice(-KEPT_LOG);
  return { ...held, version, changedAt: new Date(time).toISOString(), log };
}

export function wholeSecond(time: number): number {
  return Math.floor(time / 1000) * 1000;
}
