import type { Bus, Subscription } from '@signet/bus';
import { getDeviceConfig, OperationError, setDeviceConfig } from '@signet/contracts';
import { type Collection, StoreError } from '@signet/store';
import { type DeviceConfig, merge } from '../domain/config/device-config.ts';
import { type KeyRing, keyRingId, rotationIdOf } from '../domain/rotation/key-ring.ts';

type Deps = { bus: Bus; configs: Collection<DeviceConfig>; rings: Collection<KeyRing>; now: () => number };

/** Operators' reads and writes of a device's config. Writes wait for a rotation to end (F35). */
export async function serveConfigs({ bus, configs, rings, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(setDeviceConfig, async ({ account, deviceId, files, by }) => {
      const next = (await rings.get(keyRingId(account, deviceId)))?.next;
      if (next !== undefined) {
        const message = `config: locked by rotation ${rotationIdOf(next)} until the device is seen with its new key`;
        throw new OperationError('rotation-in-progress', message);
      }
      return writeConfig({ configs, now }, { account, deviceId, files, by });
    }),
    await bus.serve(getDeviceConfig, async ({ account, deviceId }) => {
      const config = await configs.get(keyRingId(account, deviceId));
      return { version: config?.version ?? 0, files: config?.files ?? [] };
    }),
  ];
}

/** Merges files into a device's own layer. */
export async function writeConfig(
  { configs, now }: Pick<Deps, 'configs' | 'now'>,
  facts: Pick<DeviceConfig, 'account' | 'deviceId' | 'files'> & { by: string },
): Promise<{ version: number }> {
  const id = keyRingId(facts.account, facts.deviceId);
  const time = now();
  if ((await configs.get(id)) === undefined) {
    const { account, deviceId } = facts;
    const first = merge(
      { id, account, deviceId, version: 0, changedAt: new Date(time).toISOString(), files: [] },
      { ...facts, now: time },
    );
    try {
      await configs.insert(first.document, first.events);
      return { version: first.document.version };
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
    }
  }
  const { version } = await configs.update(id, (config) => merge(config, { ...facts, now: time }));
  return { version };
}
