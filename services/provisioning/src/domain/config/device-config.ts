import { Account, ConfigFile, DeviceId, Fingerprint, newEvent, SerialNumber, Time } from '@signet/contracts';
import type { Change, Collection } from '@signet/store';
import { z } from 'zod';
import { applyChange, type LayerChange, LayerFields, NEVER, nextVersion } from './layer.ts';

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
  /** Serial number of the certificate that was announced last: the mark of the config lock. */
  announced: SerialNumber.optional(),
  /** What the device said that it applied last. */
  applied: z.object({ version: z.number().int(), at: Time }).optional(),
  /** Files that the device encrypted to keys which are announced and not seen yet; the newest last. */
  rekeyed: z.array(RekeyedFiles).optional(),
  /** As it was kept before `rekeyed`: `files` are for the key of this hash, and these are what they were before. */
  replaced: z.object({ publicKeyHash: Fingerprint, files: z.array(ConfigFile) }).optional(),
});
export type DeviceConfig = z.infer<typeof DeviceConfig>;

export type DeviceConfigs = Collection<DeviceConfig, 'byAccount'>;

/** `heldSince`: the time of the config that the device reads without a layer of its own. */
export function emptyConfig(account: string, deviceId: string, heldSince: string = NEVER): DeviceConfig {
  return {
    id: `${account}/${deviceId}`,
    ...{ account, deviceId, version: 0, changedAt: heldSince, files: [], log: [] },
  };
}

/** Changes the device's own layer. @throws OperationError as {@link applyChange} */
export function changeOwn(held: DeviceConfig, change: LayerChange): Change<DeviceConfig> {
  const document = applyChange(withCurrentShape(held), 'device', change);
  const names = [...(change.set ?? []).map(({ name }) => name), ...(change.remove ?? [])];
  return { document, events: [configChangedEvent(document, names, change.by, change.now)] };
}

/** A document that an earlier version wrote, in today's shape. */
export function withCurrentShape(config: DeviceConfig): DeviceConfig {
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
export function noteLayerChange(
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
  const document = nextVersion(withCurrentShape(config), { ...entry, set: [...files], removed: [] });
  return { document, events: [configChangedEvent(document, files, facts.by, facts.now)] };
}

/** The device said that it applied this version: an event, once for each version that is newer than the last. */
export function noteApplied(
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

export function configChangedEvent(config: DeviceConfig, files: readonly string[], by: string, now: number) {
  const { account, deviceId, version } = config;
  const data = { deviceId, version, files: [...files], by };
  return newEvent('DEVICE_CONFIG_CHANGED', { account, subject: deviceId, data, time: now });
}

/**
 * The device left the account at `at`: its own layer is gone, and who wrote what in it. What was written later is the
 * next device's. The version stays, so that the next one is another than any that a client holds.
 */
export function dropDepartedFiles(config: DeviceConfig, at: string): Change<DeviceConfig> | undefined {
  const { applied, replaced: _replaced, rekeyed: _rekeyed, ...rest } = withCurrentShape(config);
  const log = rest.log.filter((entry) => entry.at > at);
  const later = new Set(log.flatMap(({ layer, set }) => (layer === 'device' ? set : [])));
  const files = rest.files.filter(({ name }) => later.has(name));
  const isOfLater = applied !== undefined && applied.at > at;
  if (files.length === rest.files.length && log.length === rest.log.length && config.rekeyed === undefined)
    return undefined;
  return { document: { ...rest, files, log, ...(isOfLater ? { applied } : {}) } };
}
