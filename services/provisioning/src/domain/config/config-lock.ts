import { OperationError } from '@signet/contracts';
import type { Change } from '@signet/store';
import { type DeviceName, idOf } from '../devices/known-devices.ts';
import { type KeyRing, type KeyRings, keyRingId, rotationIdOf } from '../keys/key-ring.ts';
import { createConfig } from './change-config.ts';
import { type DeviceConfig, type DeviceConfigs, emptyConfig } from './device-config.ts';
import type { LayerStore } from './readers.ts';

/**
 * The config lock (F35). A device that rotates its key reads its config, encrypts it to the next key and writes it back.
 * From the announcement of that key until its first contact nobody else may write the device's own layer.
 *
 * The key ring says whether a rotation is in progress. It is another document than the config, so a write could pass the
 * check and reach the config after the announcement. The announcement therefore marks the config with the serial number
 * of the next certificate, before it is answered, and a write checks inside its update that the mark is the one that it
 * found before it looked at the key ring.
 */
export async function writeUnlocked(
  ctx: LayerStore & { readonly rings: KeyRings },
  device: DeviceName,
  step: (config: DeviceConfig) => Change<DeviceConfig>,
): Promise<DeviceConfig> {
  const id = idOf(device);
  let config = await ctx.configs.get(id);
  if (config === undefined) {
    // a write that is rejected anyway leaves no document
    await requireUnlocked(ctx, device);
    step(emptyConfig(device.account, device.deviceId));
    await createConfig(ctx, device);
    config = await ctx.configs.get(id);
  }
  const announced = config?.announced;
  await requireUnlocked(ctx, device);
  return ctx.configs.update(id, (current) => {
    if (current.announced !== announced) throw locked('a rotation that began meanwhile');
    return step(current);
  });
}

/** Marks the config of a device whose next key is announced. To be called before the announcement is answered. */
export async function lockConfig(
  { configs }: { readonly configs: DeviceConfigs },
  ring: KeyRing,
): Promise<void> {
  const { account, deviceId, next } = ring;
  const id = idOf({ account, deviceId });
  // without a document there is no write that looked at the key ring before the announcement
  if (next === undefined || (await configs.get(id)) === undefined) return;
  const announced = next.serialNumber;
  await configs.update(id, (config) =>
    config.announced === announced ? undefined : { document: { ...config, announced } },
  );
}

/** @throws OperationError `rotation-in-progress` */
async function requireUnlocked(
  { rings }: { readonly rings: KeyRings },
  { account, deviceId }: DeviceName,
): Promise<void> {
  const ring = await rings.get(keyRingId(account, deviceId));
  const rotationId = ring === undefined ? undefined : rotationIdOf(ring);
  if (rotationId !== undefined) throw locked(`rotation ${rotationId}`);
}

function locked(rotation: string): OperationError {
  const message = `config: locked by ${rotation} until the device is seen with its new key`;
  return new OperationError('rotation-in-progress', message);
}
