import type { Change, Collection, Store, UpdateOptions } from '@signet/store';
import { type DeviceConfig, deviceConfigs, emptyConfig } from '../../domain/config/device-config.ts';
import type { Layers } from '../../domain/config/effective.ts';
import { NEVER, type SharedLayer, sharedLayerId, sharedLayers } from '../../domain/config/layer.ts';
import { type Membership, type MembershipIndex, memberships } from '../../domain/groups/group.ts';
import { type KeyRing, keyRings, type RingIndex } from '../../domain/rotation/key-ring.ts';
import { insertOnce } from '../upsert.ts';

/** Where config is kept, and what says who reads it. */
export type ConfigStore = {
  readonly configs: Collection<DeviceConfig, 'byAccount'>;
  readonly layers: Collection<SharedLayer>;
  readonly members: Collection<Membership, MembershipIndex>;
  readonly rings: Collection<KeyRing, RingIndex>;
};

export async function openConfigStore(store: Store): Promise<ConfigStore> {
  return {
    configs: await store.collection(deviceConfigs),
    layers: await store.collection(sharedLayers),
    members: await store.collection(memberships),
    rings: await store.collection(keyRings),
  };
}

/** Groups that one device may be in. */
const MAX_GROUPS = 100;

export async function groupsOf(
  { members }: Pick<ConfigStore, 'members'>,
  account: string,
  deviceId: string,
): Promise<string[]> {
  const { items } = await members.find({
    index: 'byDevice',
    equals: { account, deviceId },
    limit: MAX_GROUPS,
  });
  return items.map(({ group }) => group);
}

/**
 * Changes the config of a device, which is made when there is something to write in it for the first time. What the
 * device read until then is its shared layers: the first version of its own is later than they are.
 */
export async function changeConfig(
  store: Pick<ConfigStore, 'configs' | 'layers' | 'members'>,
  { account, deviceId }: { readonly account: string; readonly deviceId: string },
  step: (config: DeviceConfig) => Change<DeviceConfig> | undefined,
  options: UpdateOptions = {},
): Promise<DeviceConfig> {
  const id = `${account}/${deviceId}`;
  if ((await store.configs.get(id)) !== undefined) return store.configs.update(id, step, options);
  const heldSince = async () => {
    const shared = await layersOf(store, account, deviceId);
    return [shared.account, ...shared.groups].reduce(
      (latest, layer) => (layer !== undefined && layer.changedAt > latest ? layer.changedAt : latest),
      NEVER,
    );
  };
  const empty = emptyConfig(account, deviceId, await heldSince());
  if (step(empty) === undefined) return empty;
  await insertOnce(store.configs, empty);
  // from here on the device goes by this document: what it read before is known now
  const since = await heldSince();
  const later = (config: DeviceConfig) =>
    config.version > 0 || config.changedAt >= since ? config : { ...config, changedAt: since };
  return store.configs.update(id, (config) => step(later(config)), options);
}

/** All layers that a device reads. */
export async function layersOf(
  store: Pick<ConfigStore, 'configs' | 'layers' | 'members'>,
  account: string,
  deviceId: string,
): Promise<Layers> {
  const [own, shared, names] = await Promise.all([
    store.configs.get(`${account}/${deviceId}`),
    store.layers.get(sharedLayerId(account)),
    groupsOf(store, account, deviceId),
  ]);
  const groups = await Promise.all(names.map((name) => store.layers.get(sharedLayerId(account, name))));
  return { own, account: shared, groups: groups.filter((group) => group !== undefined) };
}
