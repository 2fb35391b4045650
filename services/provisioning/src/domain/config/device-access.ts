import type { ConfigFile } from '@signet/contracts';
import { OperationError } from '@signet/contracts';
import { type DeviceName, idOf } from '../devices/known-devices.ts';
import { type KeyRing, type KeyRings, statusOf } from '../keys/key-ring.ts';
import { markConfigRead } from '../keys/rotation-progress.ts';
import { changeConfig } from './change-config.ts';
import { changeOwn, type DeviceConfig, noteApplied } from './device-config.ts';
import { effectiveFiles, isTimeOf, isUnmodified, type LayeredFile, modifiedAt } from './effective.ts';
import { type LayerStore, layersOf } from './readers.ts';
import { readWith, rekey } from './rekeyed.ts';

/** A device at the gateway: its name, the key that it came with, and its keys as they are after this contact. */
export type DeviceContact = {
  readonly device: DeviceName;
  readonly publicKeyHash: string;
  readonly ring: KeyRing | undefined;
};

type ConfigContext = LayerStore & { readonly rings: KeyRings; readonly now: () => number };

/** What `GET /config` comes to. `modified`: Unix ms, a whole second. */
export type ConfigRead =
  | { readonly is: 'none' }
  | { readonly is: 'unmodified'; readonly modified: number; readonly version: number }
  | {
      readonly is: 'read';
      readonly modified: number;
      readonly version: number;
      readonly files: readonly LayeredFile[];
    };

/**
 * A device polls its config. `since`: its `If-Modified-Since`. A client takes over the time of a version once it has
 * applied that version, so that time is also its word that it did.
 */
export async function readConfig(
  ctx: ConfigContext,
  { device, ring, publicKeyHash }: DeviceContact,
  since: string | undefined,
): Promise<ConfigRead> {
  const { configs, rings, now } = ctx;
  const isUnread = ring?.unread === true;
  const own = since === undefined ? undefined : await configs.get(idOf(device));
  if (since !== undefined && own !== undefined) {
    const { version } = own;
    const modified = modifiedAt({ own, account: undefined, groups: [] }, ring?.promotedAt);
    if (isTimeOf(since, modified) && version > (own.applied?.version ?? 0))
      await configs.update(own.id, (config) => noteApplied(config, version, now()));
    // most polls end here: what the device reads has no newer version than its own document
    if (!isUnread && isUnmodified(since, modified, now())) return { is: 'unmodified', modified, version };
  }
  const layers = await layersOf(ctx, device);
  const modified = modifiedAt(layers, ring?.promotedAt);
  if (modified === 0) return { is: 'none' };
  const version = layers.own?.version ?? 0;
  if (!isUnread && isUnmodified(since, modified, now())) return { is: 'unmodified', modified, version };
  if (isUnread) await rings.update(ring.id, markConfigRead);
  const read = layers.own === undefined ? layers : { ...layers, own: readWith(layers.own, publicKeyHash) };
  return { is: 'read', modified, version, files: effectiveFiles(read) };
}

/** The device's own layer, as the key that it came with reads it; undefined where it is empty. */
export async function readOwnLayer(
  { configs }: Pick<ConfigContext, 'configs'>,
  { device, publicKeyHash }: DeviceContact,
): Promise<DeviceConfig | undefined> {
  const held = await configs.get(idOf(device));
  const own = held === undefined ? undefined : readWith(held, publicKeyHash);
  return own === undefined || own.files.length === 0 ? undefined : own;
}

/**
 * A device writes its own layer. `encryptedTo`: SHA-256 of the key that the values are for, where it says; the values for
 * an announced key are kept apart until that key is seen.
 * @throws OperationError `not-announced`, and as `applyChange`
 */
export async function writeOwnLayer(
  ctx: ConfigContext,
  { device, ring }: DeviceContact,
  change: {
    readonly files: readonly ConfigFile[];
    readonly reason: string;
    readonly encryptedTo: string | undefined;
  },
): Promise<void> {
  const { files, reason, encryptedTo } = change;
  const status = ring === undefined || encryptedTo === undefined ? 'current' : statusOf(ring, encryptedTo);
  // values that only another key could read would lock the device out of its config
  if (status !== 'current' && status !== 'next')
    throw new OperationError(
      'not-announced',
      'public-key: it is neither the current key of the device nor its announced one',
      { field: 'public-key' },
    );
  const written = { set: files, by: device.deviceId, reason, now: ctx.now() };
  await changeConfig(ctx, device, (config) =>
    status === 'next' && encryptedTo !== undefined
      ? rekey(config, encryptedTo, written)
      : changeOwn(config, written),
  );
}
