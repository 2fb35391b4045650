import { Account, ConfigFile, DeviceId, Fingerprint, newEvent, Time } from '@signet/contracts';
import type { Change, CollectionSpec } from '@signet/store';
import { z } from 'zod';
import { changed, type LayerChange, LayerFields, NEVER, next } from './layer.ts';

/** The files that one announced key reads otherwise than the current key does. */
export const RekeyedFiles = z.object({
  publicKeyHash: Fingerprint,
  files: z.array(
    ConfigFile.extend({
      from: z
        .string()
        .optional()
        .describe('The value that it stands for; absent for a file that only this key reads'),
    }),
  ),
});
export type RekeyedFiles = z.infer<typeof RekeyedFiles>;

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
  /** Files that the device encrypted to keys which are announced and not seen yet; the newest last. */
  rekeyed: z.array(RekeyedFiles).optional(),
  /** As it was kept before `rekeyed`: `files` are for the key of this hash, and these are what they were before. */
  replaced: z.object({ publicKeyHash: Fingerprint, files: z.array(ConfigFile) }).optional(),
});
export type DeviceConfig = z.infer<typeof DeviceConfig>;

export const deviceConfigs = {
  name: 'provisioning.configs',
  schema: DeviceConfig,
  indexes: { byAccount: { fields: ['account', 'deviceId'] } },
} as const satisfies CollectionSpec<DeviceConfig>;

/** `heldSince`: the time of the config that the device reads without a layer of its own. */
export function emptyConfig(account: string, deviceId: string, heldSince: string = NEVER): DeviceConfig {
  return {
    id: `${account}/${deviceId}`,
    ...{ account, deviceId, version: 0, changedAt: heldSince, files: [], log: [] },
  };
}

/** Changes the device's own layer. @throws ConfigError */
export function changeOwn(held: DeviceConfig, change: LayerChange): Change<DeviceConfig> {
  const document = changed(upToDate(held), 'device', change);
  const names = [...(change.set ?? []).map(({ name }) => name), ...(change.remove ?? [])];
  return { document, events: [configChanged(document, names, change.by, change.now)] };
}

/** A document that an earlier version wrote, in today's shape. */
export function upToDate(config: DeviceConfig): DeviceConfig {
  if (config.replaced === undefined) return config;
  const { replaced, ...rest } = config;
  const { publicKeyHash, files } = replaced;
  return { ...rest, files, rekeyed: [{ publicKeyHash, files: difference(files, config.files) }] };
}

/** What of `files` a key reads otherwise than `base`. */
export function difference(base: readonly ConfigFile[], files: readonly ConfigFile[]): RekeyedFiles['files'] {
  const before = new Map(base.map((file) => [file.name, file]));
  return files.flatMap((file) => {
    const from = before.get(file.name);
    if (from === undefined) return [file];
    return JSON.stringify(from) === JSON.stringify(file) ? [] : [{ ...file, from: from.value }];
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
  const document = next(upToDate(config), { ...entry, set: [...files], removed: [] });
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

export function configChanged(config: DeviceConfig, files: readonly string[], by: string, now: number) {
  const { account, deviceId, version } = config;
  const data = { deviceId, version, files: [...files], by };
  return newEvent('DEVICE_CONFIG_CHANGED', { account, subject: deviceId, data, time: now });
}

/** A file, and the layer that it is of. */
export type LayeredFile = ConfigFile & { readonly layer: string };
