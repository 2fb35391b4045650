import { Account, ConfigFile, DeviceId, Fingerprint, newEvent, Time } from '@signet/contracts';
import type { Change, CollectionSpec } from '@signet/store';
import { z } from 'zod';
import { changed, type LayerChange, LayerFields, next } from './layer.ts';

/**
 * The config of one device: its own layer, and the version of all that it reads, which grows with each change of any of
 * its layers. The id is `<account>/<device>`.
 */
export const DeviceConfig = LayerFields.extend({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  /** What the device said that it applied last. */
  applied: z.object({ version: z.number().int(), at: Time }).optional(),
  /** Its files as they were before the device encrypted them to the key of this hash, which is not promoted yet. */
  replaced: z.object({ publicKeyHash: Fingerprint, files: z.array(ConfigFile) }).optional(),
});
export type DeviceConfig = z.infer<typeof DeviceConfig>;

export const deviceConfigs = {
  name: 'provisioning.configs',
  schema: DeviceConfig,
  indexes: { byAccount: { fields: ['account', 'deviceId'] } },
} as const satisfies CollectionSpec<DeviceConfig>;

export function emptyConfig(account: string, deviceId: string, now: number): DeviceConfig {
  const changedAt = new Date(now).toISOString();
  return { id: `${account}/${deviceId}`, account, deviceId, version: 0, changedAt, files: [], log: [] };
}

/** Changes the device's own layer. @throws ConfigError */
export function changeOwn(config: DeviceConfig, change: LayerChange): Change<DeviceConfig> {
  const document = changed(config, 'device', change);
  const names = [...(change.set ?? []).map(({ name }) => name), ...(change.remove ?? [])];
  return { document, events: [configChanged(document, names, change.by, change.now)] };
}

/** The device re-encrypts its own layer to its announced key: what was before is kept until that key is promoted. */
export function reencrypted(
  config: DeviceConfig,
  publicKeyHash: string,
  change: LayerChange,
): Change<DeviceConfig> {
  const { document, events = [] } = changeOwn(config, change);
  const isKept = config.replaced?.publicKeyHash === publicKeyHash;
  const replaced = isKept ? config.replaced : { publicKeyHash, files: config.files };
  return { document: { ...document, replaced }, events };
}

/** The config with files that one of these keys reads: without those for a next key that was dropped. */
export function readable<T extends DeviceConfig | undefined>(
  config: T,
  keyHashes: readonly (string | undefined)[],
): T {
  if (config?.replaced === undefined || keyHashes.includes(config.replaced.publicKeyHash)) return config;
  return { ...config, files: config.replaced.files };
}

/** A rotation is over: with its key promoted, what was before is not needed; with its key dropped, it comes back. */
export function rotationOver(
  config: DeviceConfig,
  facts: {
    readonly publicKeyHash: string;
    readonly promoted: boolean;
    readonly rotationId: string;
    readonly now: number;
  },
): Change<DeviceConfig> | undefined {
  const { publicKeyHash, promoted, rotationId, now } = facts;
  const { replaced, ...rest } = config;
  if (replaced?.publicKeyHash !== publicKeyHash) return undefined;
  if (promoted) return { document: rest };
  const kept = new Set(replaced.files.map(({ name }) => name));
  return changeOwn(rest, {
    set: replaced.files,
    remove: config.files.flatMap(({ name }) => (kept.has(name) ? [] : [name])),
    ...{ by: 'provisioning', reason: `rotation ${rotationId} is over, its key was dropped`, now },
  });
}

/** A layer above the device's own changed, or the device came into a group, or left it. */
export function layerChanged(
  config: DeviceConfig,
  facts: {
    readonly layer: string;
    readonly files: readonly string[];
    readonly by: string;
    readonly reason: string;
    readonly now: number;
  },
): Change<DeviceConfig> {
  const { files, ...entry } = facts;
  const document = next(config, { ...entry, set: [...files], removed: [] });
  return { document, events: [configChanged(document, files, facts.by, facts.now)] };
}

/** The device said that it applied this version: an event, once for each version that is newer than the last. */
export function applied(
  config: DeviceConfig,
  version: number,
  now: number,
): Change<DeviceConfig> | undefined {
  const { account, deviceId } = config;
  if (version > config.version || version <= (config.applied?.version ?? 0)) return undefined;
  const at = new Date(now).toISOString();
  const data = { deviceId, version };
  return {
    document: { ...config, applied: { version, at } },
    events: [newEvent('DEVICE_CONFIG_APPLIED', { account, subject: deviceId, data, time: now })],
  };
}

function configChanged(config: DeviceConfig, files: readonly string[], by: string, now: number) {
  const { account, deviceId, version } = config;
  const data = { deviceId, version, files: [...files], by };
  return newEvent('DEVICE_CONFIG_CHANGED', { account, subject: deviceId, data, time: now });
}

/** A file, and the layer that it is of. */
export type LayeredFile = ConfigFile & { readonly layer: string };
