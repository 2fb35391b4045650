import {
  type ConfigLayer,
  type deleteDeviceConfig,
  type getConfigLog,
  type getDeviceConfig,
  newEvent,
  OperationError,
  type OperationOutput,
  type ParsedInput,
  type SignetEvent,
  type setDeviceConfig,
} from '@signet/contracts';
import { changeConfig } from '../config/change-config.ts';
import { writeUnlocked } from '../config/config-lock.ts';
import { changeOwn, noteLayerChange, withCurrentShape } from '../config/device-config.ts';
import { effectiveFiles } from '../config/effective.ts';
import {
  applyChange,
  type LayerChange,
  NEVER,
  rejectFiles,
  type SharedLayer,
  sharedLayerId,
} from '../config/layer.ts';
import { layersOf, readersOf } from '../config/readers.ts';
import {
  type DeviceName,
  findUnknown,
  idOf,
  requireDevices,
  unknownDevices,
} from '../devices/known-devices.ts';
import { upsert } from '../documents/documents.ts';
import { requireGroup } from '../groups/groups.ts';
import { type GroupContext, settleClaims } from '../groups/membership.ts';
import { type KeyRings, rotationIdOf } from '../keys/key-ring.ts';

type LayerContext = GroupContext & { readonly rings: KeyRings };
type LayerRef = Pick<ConfigLayer, 'account' | 'deviceId' | 'group'>;
type Version = { readonly version: number };

/** An operator writes files of a layer. @throws OperationError as the operation says */
export function setLayerFiles(
  ctx: LayerContext,
  { files, by, reason = '', ...layer }: ParsedInput<typeof setDeviceConfig>,
): Promise<Version> {
  return writeLayer(ctx, layer, { set: files, by, reason, now: ctx.now() });
}

/** An operator removes files of a layer. @throws OperationError as the operation says */
export function removeLayerFiles(
  ctx: LayerContext,
  { names, by, reason, ...layer }: ParsedInput<typeof deleteDeviceConfig>,
): Promise<Version> {
  return writeLayer(ctx, layer, { remove: names, by, reason, now: ctx.now() });
}

/**
 * A write of an operator. 1. The layer and its device exist. 2. The device's own layer is not locked by a rotation, which
 * is checked again inside the update. 3. A device that left the account meanwhile keeps nothing of it.
 */
async function writeLayer(ctx: LayerContext, layer: LayerRef, change: LayerChange): Promise<Version> {
  await requireLayer(ctx, layer);
  const { account, deviceId, group } = layer;
  if (deviceId === undefined) return writeShared(ctx, { account, group }, change);
  const device = { account, deviceId };
  if (change.set !== undefined) await requireDevices(ctx, { account, deviceIds: [deviceId] });
  const written = await writeUnlocked(ctx, device, (config) => changeOwn(config, change));
  if (change.set !== undefined) await requireStillOwned(ctx, device, { ...change, version: written.version });
  return { version: written.version };
}

/** Every device that reads the layer gets a new version when its event is consumed, by {@link passLayerOn}. */
async function writeShared(
  { layers }: Pick<LayerContext, 'layers'>,
  { account, group }: Omit<LayerRef, 'deviceId'>,
  change: LayerChange,
): Promise<Version> {
  const { by, reason, now, set = [], remove = [] } = change;
  const secret = set.find(({ unencrypted, value }) => !unencrypted && value !== '');
  if (secret !== undefined)
    throw rejectFiles('shared-layer', `"${secret.name}" is for one key, and several devices read it`);
  const name = group === undefined ? 'account' : `group ${group}`;
  const empty: SharedLayer = {
    id: sharedLayerId(account, group),
    ...{ account, version: 0, changedAt: NEVER, files: [], log: [] },
    ...(group === undefined ? {} : { group }),
  };
  const { version } = await upsert(layers, empty, (held) => {
    const document = applyChange(held, name, change);
    const files = [...set.map((file) => file.name), ...remove];
    const data = {
      ...(group === undefined ? {} : { group }),
      ...{ version: document.version, files, by, reason },
    };
    const subject = group ?? 'account';
    return { document, events: [newEvent('CONFIG_LAYER_CHANGED', { account, subject, time: now, data })] };
  });
  return { version };
}

/** Removes what was written for a device that left the account meanwhile. @throws OperationError `unknown-device` */
async function requireStillOwned(
  ctx: LayerContext,
  device: DeviceName,
  { version, ...change }: LayerChange & Version,
): Promise<void> {
  const { account, deviceId } = device;
  const unknown = await findUnknown(ctx, { account, deviceIds: [deviceId] });
  if (unknown.length === 0) return;
  await ctx.configs.update(idOf(device), (config) => {
    const remove = (change.set ?? [])
      .map(({ name }) => name)
      .filter((name) => config.files.some((file) => file.name === name));
    return config.version === version && remove.length > 0
      ? changeOwn(config, { ...change, set: [], remove, reason: 'removed: the device left the account' })
      : undefined;
  });
  throw unknownDevices(account, unknown);
}

/** A layer as operators see it, and of a device all that it reads. @throws OperationError `unknown-group` */
export async function getLayer(
  ctx: LayerContext,
  layer: ParsedInput<typeof getDeviceConfig>,
): Promise<OperationOutput<typeof getDeviceConfig>> {
  await requireLayer(ctx, layer);
  const { account, deviceId, group } = layer;
  if (deviceId === undefined) {
    const shared = await ctx.layers.get(sharedLayerId(account, group));
    return { version: shared?.version ?? 0, files: shared?.files ?? [] };
  }
  const device = { account, deviceId };
  const [layers, ring] = await Promise.all([layersOf(ctx, device), ctx.rings.get(idOf(device))]);
  const { own } = layers;
  const rotationId = ring === undefined ? undefined : rotationIdOf(ring);
  return {
    version: own?.version ?? 0,
    files: own === undefined ? [] : withCurrentShape(own).files,
    effective: effectiveFiles(layers),
    ...(own?.applied === undefined ? {} : { appliedVersion: own.applied.version, appliedAt: own.applied.at }),
    ...(rotationId === undefined ? {} : { rotationId }),
  };
}

/** The changes of a layer, the newest first. @throws OperationError `unknown-group` */
export async function getLayerLog(
  ctx: LayerContext,
  layer: ParsedInput<typeof getConfigLog>,
): Promise<OperationOutput<typeof getConfigLog>> {
  await requireLayer(ctx, layer);
  const { account, deviceId, group } = layer;
  const held =
    deviceId === undefined
      ? await ctx.layers.get(sharedLayerId(account, group))
      : await ctx.configs.get(idOf({ account, deviceId }));
  return { items: (held?.log ?? []).toReversed() };
}

/** Gives every device that reads a shared layer a new version of its config. */
export async function passLayerOn(
  ctx: LayerContext,
  { id: appliedEvent, account, data }: SignetEvent<'CONFIG_LAYER_CHANGED'>,
): Promise<void> {
  const { group, files, by, reason } = data;
  const layer = group === undefined ? 'account' : `group ${group}`;
  for await (const deviceId of readersOf(ctx, { account, group }))
    await changeConfig(
      ctx,
      { account, deviceId },
      (config) => noteLayerChange(config, { layer, files, by, reason, now: ctx.now() }),
      { appliedEvent },
    );
}

/** @throws OperationError `unknown-group`, `invalid-input` */
async function requireLayer(ctx: GroupContext, { account, deviceId, group }: LayerRef): Promise<void> {
  if (group === undefined) return;
  if (deviceId !== undefined)
    throw new OperationError('invalid-input', 'group: a layer is of a group or of a device, not both', {
      field: 'group',
    });
  await settleClaims(ctx, { account, group });
  await requireGroup(ctx, { account, group });
}
