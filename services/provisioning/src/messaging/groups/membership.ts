import type { Collection, Store } from '@signet/store';
import { layerChanged } from '../../domain/config/device-config.ts';
import { sharedLayerId } from '../../domain/config/layer.ts';
import {
  type DeviceLabels,
  deviceLabels,
  type GroupRecord,
  groupRecords,
  type Membership,
  type MembershipIndex,
} from '../../domain/groups/group.ts';
import { fits } from '../../domain/groups/label-query.ts';
import { type ConfigStore, changeConfig } from '../config/collections.ts';
import { insertOnce } from '../upsert.ts';

export type GroupStore = {
  readonly groups: Collection<GroupRecord, 'byAccount'>;
  readonly labels: Collection<DeviceLabels, 'byAccount'>;
  readonly members: Collection<Membership, MembershipIndex>;
} & Pick<ConfigStore, 'configs' | 'layers'>;

export async function openGroupStore(store: Store, config: ConfigStore): Promise<GroupStore> {
  return {
    groups: await store.collection(groupRecords),
    labels: await store.collection(deviceLabels),
    ...{ members: config.members, configs: config.configs, layers: config.layers },
  };
}

type Place = { readonly account: string; readonly group: string; readonly deviceId: string };
type Why = { readonly by: string; readonly now: number };

/**
 * Puts a device into a group. Whether that is there, and the device fits it, is looked at after: whoever removes the
 * group later finds the member.
 * @returns whether it was not in it, and is now
 */
export async function join(store: GroupStore, place: Place, why: Why): Promise<boolean> {
  const { account, group, deviceId } = place;
  const id = `${account}/${group}/${deviceId}`;
  const since = new Date(why.now).toISOString();
  const isNew = await insertOnce(store.members, { id, account, group, deviceId, since });
  if (!isNew) return false;
  if (!(await belongs(store, place))) {
    await store.members.remove(id);
    return false;
  }
  await tellOfLayer(store, place, { ...why, reason: `came into group ${group}` });
  return true;
}

async function belongs(store: GroupStore, { account, group, deviceId }: Place): Promise<boolean> {
  const record = await store.groups.get(`${account}/${group}`);
  if (record?.labels === undefined) return record !== undefined;
  const held = await store.labels.get(`${account}/${deviceId}`);
  return fits(record.labels, held?.labels ?? {});
}

/** Takes a device out of a group. @returns whether it was in it */
export async function leave(store: GroupStore, place: Place, why: Why): Promise<boolean> {
  const { account, group, deviceId } = place;
  const id = `${account}/${group}/${deviceId}`;
  if (!(await store.members.remove(id))) return false;
  await tellOfLayer(store, place, { ...why, reason: `left group ${group}` });
  return true;
}

/** A device that came into a group, or left it, reads another config if the group has one. */
async function tellOfLayer(
  store: GroupStore,
  { account, group, deviceId }: Place,
  why: Why & { readonly reason: string },
): Promise<void> {
  const layer = await store.layers.get(sharedLayerId(account, group));
  if (layer === undefined || layer.files.length === 0) return;
  const files = layer.files.map(({ name }) => name);
  await changeConfig(store, { account, deviceId }, (config) =>
    layerChanged(config, { ...why, layer: `group ${group}`, files }),
  );
}
