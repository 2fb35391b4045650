import type { ConfigFile } from '@signet/contracts';
import type { Change } from '@signet/store';
import {
  configChangedEvent,
  type DeviceConfig,
  difference,
  type RekeyedFiles,
  withCurrentShape,
} from './device-config.ts';
import { applyChange, type LayerChange } from './layer.ts';

/** Keys that a config is kept for beside the current one, and characters of their values in all: one full layer. */
const KEPT_KEYS = 4;
const KEPT_LENGTH = 6_553_600;

/** The config as the owner of this key reads it. */
export function readWith(held: DeviceConfig, publicKeyHash: string): DeviceConfig {
  const config = withCurrentShape(held);
  const own = config.rekeyed?.find((entry) => entry.publicKeyHash === publicKeyHash);
  return own === undefined ? config : { ...config, files: mergeRekeyed(config.files, own) };
}

/**
 * The device encrypts its layer to an announced key before that key is seen (`PATCH /config` with `public-key`). The
 * current key goes on reading what it can: a client that lost its state replays the step with it. @throws OperationError as {@link applyChange}
 */
export function rekey(held: DeviceConfig, publicKeyHash: string, change: LayerChange): Change<DeviceConfig> {
  const config = withCurrentShape(held);
  const document = applyChange(readWith(config, publicKeyHash), 'device', change);
  const files = difference(config.files, document.files);
  const others = (config.rekeyed ?? []).filter((entry) => entry.publicKeyHash !== publicKeyHash);
  const names = (change.set ?? []).map(({ name }) => name);
  return {
    document: {
      ...document,
      files: config.files,
      rekeyed: withinBounds([...others, { publicKeyHash, files }]),
    },
    events: [configChangedEvent(document, names, change.by, change.now)],
  };
}

/** The key was promoted: its values are the config from now on. Entries of keys announced before it are refused keys'. */
export function promoteRekeyed(held: DeviceConfig, publicKeyHash: string): Change<DeviceConfig> | undefined {
  const { rekeyed = [], ...config } = withCurrentShape(held);
  const at = rekeyed.findIndex((entry) => entry.publicKeyHash === publicKeyHash);
  const own = rekeyed[at];
  if (own === undefined) return undefined;
  const later = rekeyed.slice(at + 1);
  const document = { ...config, files: mergeRekeyed(config.files, own) };
  return { document: later.length === 0 ? document : { ...document, rekeyed: later } };
}

/** The key was dropped: what was encrypted to it goes with it. */
export function dropRekeyed(held: DeviceConfig, publicKeyHash: string): Change<DeviceConfig> | undefined {
  const { rekeyed = [], ...config } = withCurrentShape(held);
  const left = rekeyed.filter((entry) => entry.publicKeyHash !== publicKeyHash);
  if (left.length === rekeyed.length) return undefined;
  return { document: left.length === 0 ? config : { ...config, rekeyed: left } };
}

/** A value counts for as long as what it stands for is still there: an operator's later write is not undone by it. */
function mergeRekeyed(files: readonly ConfigFile[], { files: own }: RekeyedFiles): ConfigFile[] {
  const values = new Map(own.map((file) => [file.name, file]));
  const kept = files.map((file) => {
    const value = values.get(file.name);
    return value !== undefined && value.from === file.value ? withoutFrom(value) : file;
  });
  const names = new Set(files.map(({ name }) => name));
  return [
    ...kept,
    ...own.filter(({ name, from }) => from === undefined && !names.has(name)).map(withoutFrom),
  ];
}

function withoutFrom({ from: _from, ...file }: RekeyedFiles['files'][number]): ConfigFile {
  return file;
}

/** The newest keys' files, within the bounds. */
function withinBounds(entries: readonly RekeyedFiles[]): RekeyedFiles[] {
  let length = 0;
  const kept: RekeyedFiles[] = [];
  for (const entry of entries.slice(-KEPT_KEYS).toReversed()) {
    length += entry.files.reduce((sum, { value, from = '' }) => sum + value.length + from.length, 0);
    if (kept.length > 0 && length > KEPT_LENGTH) break;
    kept.unshift(entry);
  }
  return kept;
}
