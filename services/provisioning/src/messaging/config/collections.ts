import type { Collection, Store } from '@signet/store';
import { type DeviceConfig, deviceConfigs } from '../../domain/config/device-config.ts';
import type { Layers } from '../../domain/config/effective.ts';
import { type SharedLayer, sharedLayerId, sharedLayers } from '../../domain/config/layer.ts';
import { type Membership, type MembershipIndex, memberships } from '../../domain/groups/group.ts';
import { type KeyRing, keyRings, type RingIndex } from '../../domain/rotation/key-ring.ts';

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

/** All layers that a device reads. */
export async function layersOf(store: ConfigStore, account: string, deviceId: string): Promise<Layers> {
  const [own, shared, names] = await Promise.all([
    store.configs.get(`${account}/${deviceId}`),
    store.layers.get(sharedLayerId(account)),
    groupsOf(store, account, deviceId),
  ]);
  const groups = await Promise.all(names.map((name) => store.layers.get(sharedLayerId(account, name))));
  return { own, account: shared, groups: groups.filter((group) => group !== undefined) };
}
