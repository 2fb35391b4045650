import { type Change, insertIfAbsent, type UpdateOptions } from '@signet/store';
import { type DeviceName, idOf } from '../devices/known-devices.ts';
import { type DeviceConfig, type DeviceConfigs, emptyConfig } from './device-config.ts';
import { NEVER } from './layer.ts';
import { type LayerStore, layersOf } from './readers.ts';
import { dropRekeyed, promoteRekeyed } from './rekeyed.ts';

type Step = (config: DeviceConfig) => Change<DeviceConfig> | undefined;

/** Changes the config of a device. The document is created with the first change that has something to write. */
export async function changeConfig(
  ctx: LayerStore,
  device: DeviceName,
  step: Step,
  options: UpdateOptions = {},
): Promise<DeviceConfig> {
  const id = idOf(device);
  if ((await ctx.configs.get(id)) === undefined) {
    const empty = emptyConfig(device.account, device.deviceId);
    if (step(empty) === undefined) return empty;
    await createConfig(ctx, device);
  }
  return ctx.configs.update(id, step, options);
}

/**
 * Creates the document of a device that has none. Until then the device read its shared layers, so the document begins
 * with the time of the newest of them: its first version is later than anything that the device holds.
 */
export async function createConfig(ctx: LayerStore, device: DeviceName): Promise<void> {
  const { account, deviceId } = device;
  const before = await sharedSince(ctx, device);
  if (!(await insertIfAbsent(ctx.configs, emptyConfig(account, deviceId, before)))) return;
  // from the insert on the device goes by the document, so what it read until then is known only now
  const since = await sharedSince(ctx, device);
  await ctx.configs.update(idOf(device), (config) =>
    config.version > 0 || config.changedAt >= since
      ? undefined
      : { document: { ...config, changedAt: since } },
  );
}

/** The time of the newest shared layer that a device reads. */
async function sharedSince(ctx: LayerStore, device: DeviceName): Promise<string> {
  const { account, groups } = await layersOf(ctx, device);
  return [account, ...groups].reduce(
    (latest, layer) => (layer !== undefined && layer.changedAt > latest ? layer.changedAt : latest),
    NEVER,
  );
}

/** What happened to an announced key: promoted, its values are the config; dropped, they are gone. */
export type KeyOutcome = { readonly publicKeyHash: string; readonly is: 'promoted' | 'dropped' };

/** Applies to the config what became of a key that the device had encrypted files to. */
export async function settleRekeyed(
  { configs }: { readonly configs: DeviceConfigs },
  { publicKeyHash, is, ...device }: DeviceName & KeyOutcome,
): Promise<void> {
  const id = idOf(device);
  if ((await configs.get(id)) === undefined) return;
  const settle = is === 'promoted' ? promoteRekeyed : dropRekeyed;
  await configs.update(id, (config) => settle(config, publicKeyHash));
}
