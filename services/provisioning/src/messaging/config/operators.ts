import type { Bus, Subscription } from '@signet/bus';
import {
  type ConfigFile,
  type ConfigLayer,
  deleteDeviceConfig,
  getConfigLog,
  getDeviceConfig,
  newEvent,
  OperationError,
  setDeviceConfig,
} from '@signet/contracts';
import { ConfigError } from '../../domain/config/config-error.ts';
import { changeOwn, type DeviceConfig, upToDate } from '../../domain/config/device-config.ts';
import { effectiveFiles } from '../../domain/config/effective.ts';
import {
  changed,
  type LayerChange,
  NEVER,
  type SharedLayer,
  sharedLayerId,
} from '../../domain/config/layer.ts';
import { keyRingId, rotationIdOf } from '../../domain/rotation/key-ring.ts';
import { settleClaims } from '../groups/claims.ts';
import type { GroupStore } from '../groups/membership.ts';
import { requireDevices, unknownDevices, unknownOf } from '../known-devices.ts';
import { upsert } from '../upsert.ts';
import { type ConfigStore, changeConfig, layersOf } from './collections.ts';

type Deps = {
  readonly bus: Bus;
  readonly store: ConfigStore & GroupStore;
  readonly now: () => number;
};

/** Operators' reads and writes of config, layer by layer. Writes of a device's own wait for its rotation (F35). */
export async function serveConfigs(deps: Deps): Promise<Subscription[]> {
  const { bus, store, now } = deps;
  return [
    await bus.serve(setDeviceConfig, ({ files, by, reason, ...layer }) =>
      write(deps, layer, { set: files, by, reason, now: now() }),
    ),
    await bus.serve(deleteDeviceConfig, ({ names, by, reason, ...layer }) =>
      write(deps, layer, { remove: names, by, reason, now: now() }),
    ),
    await bus.serve(getDeviceConfig, async (layer) => {
      await demandLayer(deps, layer);
      const { account, deviceId, group } = layer;
      if (deviceId === undefined) {
        const shared = await store.layers.get(sharedLayerId(account, group));
        return { version: shared?.version ?? 0, files: shared?.files ?? [] };
      }
      const layers = await layersOf(store, account, deviceId);
      const { own } = layers;
      const ring = await store.rings.get(keyRingId(account, deviceId));
      const rotationId = ring === undefined ? undefined : rotationIdOf(ring);
      return {
        version: own?.version ?? 0,
        files: own === undefined ? [] : upToDate(own).files,
        effective: effectiveFiles(layers),
        ...(own?.applied === undefined
          ? {}
          : { appliedVersion: own.applied.version, appliedAt: own.applied.at }),
        ...(rotationId === undefined ? {} : { rotationId }),
      };
    }),
    await bus.serve(getConfigLog, async (layer) => {
      await demandLayer(deps, layer);
      const { account, deviceId, group } = layer;
      const held =
        deviceId === undefined
          ? await store.layers.get(sharedLayerId(account, group))
          : await store.configs.get(keyRingId(account, deviceId));
      return { items: (held?.log ?? []).toReversed() };
    }),
  ];
}

async function write(deps: Deps, layer: ConfigLayer, change: LayerChange): Promise<{ version: number }> {
  await demandLayer(deps, layer);
  const { account, deviceId, group } = layer;
  const { store } = deps;
  try {
    if (deviceId === undefined) return await writeShared(store, { account, group }, change);
    if (change.set !== undefined) await requireDevices(deps.bus, account, [deviceId]);
    await demandUnlocked(store, account, deviceId);
    const written = await writeOwn(store, account, deviceId, change);
    await requireStillThere(deps, account, deviceId, { written, change });
    return written;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const code = error.code === 'twice' ? 'invalid-input' : error.code;
    const field = error.code === 'unknown-file' ? 'names' : 'files';
    throw new OperationError(code, error.message, { field, cause: error });
  }
}

/** A rotation that was announced while this was written has read the config before it: the write is taken back. */
async function writeOwn(store: ConfigStore, account: string, deviceId: string, change: LayerChange) {
  let before: readonly ConfigFile[] = [];
  const written = await changeConfig(store, { account, deviceId }, (config) => {
    before = upToDate(config).files;
    return changeOwn(config, change);
  });
  try {
    await demandUnlocked(store, account, deviceId);
  } catch (error) {
    const had = new Set(before.map(({ name }) => name));
    const remove = written.files.flatMap(({ name }) => (had.has(name) ? [] : [name]));
    await store.configs.update(written.id, (config) =>
      config.version === written.version
        ? changeOwn(config, {
            ...change,
            set: before,
            remove,
            reason: 'taken back: a rotation holds the config',
          })
        : undefined,
    );
    throw error;
  }
  return written;
}

/** What was written of a device that left the account meanwhile is removed. @throws OperationError `unknown-device` */
async function requireStillThere(
  { bus, store }: Deps,
  account: string,
  deviceId: string,
  { written, change }: { readonly written: DeviceConfig; readonly change: LayerChange },
): Promise<void> {
  const { set = [] } = change;
  if (set.length === 0 || (await unknownOf(bus, account, [deviceId])).length === 0) return;
  await store.configs.update(written.id, (config) => {
    const remove = set
      .map(({ name }) => name)
      .filter((name) => config.files.some((file) => file.name === name));
    return config.version === written.version && remove.length > 0
      ? changeOwn(config, { ...change, set: [], remove, reason: 'removed: the device left the account' })
      : undefined;
  });
  throw unknownDevices(account, [deviceId]);
}

/** Every device that reads the layer is told by {@link followLayers}. */
async function writeShared(
  { layers }: ConfigStore,
  { account, group }: { readonly account: string; readonly group: string | undefined },
  change: LayerChange,
): Promise<{ version: number }> {
  const { by, reason, now, set = [], remove = [] } = change;
  const secret = set.find(({ unencrypted, value }) => !unencrypted && value !== '');
  if (secret !== undefined)
    throw new ConfigError(
      'shared-layer',
      `files: "${secret.name}" is for one key, and several devices read it`,
    );
  const name = group === undefined ? 'account' : `group ${group}`;
  const empty: SharedLayer = {
    id: sharedLayerId(account, group),
    ...{ account, version: 0, changedAt: NEVER, files: [], log: [] },
    ...(group === undefined ? {} : { group }),
  };
  return upsert(layers, empty, (held) => {
    const document = changed(held, name, change);
    const files = [...set.map((file) => file.name), ...remove];
    const data = {
      ...(group === undefined ? {} : { group }),
      ...{ version: document.version, files, by, reason },
    };
    const subject = group ?? 'account';
    return { document, events: [newEvent('CONFIG_LAYER_CHANGED', { account, subject, time: now, data })] };
  });
}

async function demandLayer(
  { bus, store, now }: Deps,
  { account, deviceId, group }: ConfigLayer,
): Promise<void> {
  if (group === undefined) return;
  if (deviceId !== undefined)
    throw new OperationError('invalid-input', 'group: a layer is of a group or of a device, not both', {
      field: 'group',
    });
  await settleClaims({ bus, store, now }, account, group);
  if ((await store.groups.get(`${account}/${group}`)) === undefined)
    throw new OperationError('unknown-group', `group: account "${account}" has no group "${group}"`, {
      field: 'group',
    });
}

async function demandUnlocked({ rings }: ConfigStore, account: string, deviceId: string): Promise<void> {
  const ring = await rings.get(keyRingId(account, deviceId));
  const rotationId = ring === undefined ? undefined : rotationIdOf(ring);
  if (rotationId === undefined) return;
  const message = `config: locked by rotation ${rotationId} until the device is seen with its new key`;
  throw new OperationError('rotation-in-progress', message);
}
