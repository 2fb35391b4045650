import { Account, DeviceId, GroupName, Time } from '@signet/contracts';
import { all, type Collection } from '@signet/store';
import { z } from 'zod';
import { type DeviceName, idOf } from '../devices/known-devices.ts';
import type { KeyRings } from '../keys/key-ring.ts';
import type { DeviceConfigs } from './device-config.ts';
import type { Layers } from './effective.ts';
import { type SharedLayers, sharedLayerId } from './layer.ts';

/** A device in a group, and so a reader of the group's layer; the id is `<account>/<group>/<device>`. */
export const Membership = z.object({
  id: z.string(),
  account: Account,
  group: GroupName,
  deviceId: DeviceId,
  since: Time,
});
export type Membership = z.infer<typeof Membership>;

export type Memberships = Collection<Membership, 'byGroup' | 'byDevice'>;

/** Groups that one device may be in. */
const MAX_GROUPS = 100;

/** The names of the groups that a device is in, in their order. */
export async function groupsOf(
  { members }: { readonly members: Memberships },
  { account, deviceId }: DeviceName,
): Promise<string[]> {
  const { items } = await members.find({
    index: 'byDevice',
    equals: { account, deviceId },
    limit: MAX_GROUPS,
  });
  return items.map(({ group }) => group);
}

/** Where the layers are, and which devices read them. */
export type LayerStore = {
  readonly configs: DeviceConfigs;
  readonly layers: SharedLayers;
  readonly members: Memberships;
};

/** All layers that a device reads. */
export async function layersOf(ctx: LayerStore, device: DeviceName): Promise<Layers> {
  const { account } = device;
  const [own, shared, names] = await Promise.all([
    ctx.configs.get(idOf(device)),
    ctx.layers.get(sharedLayerId(account)),
    groupsOf(ctx, device),
  ]);
  const groups = await Promise.all(names.map((name) => ctx.layers.get(sharedLayerId(account, name))));
  return { own, account: shared, groups: groups.filter((group) => group !== undefined) };
}

/** The devices that read a shared layer. The account's is read by every device that has keys or a config here. */
export async function* readersOf(
  { members, rings, configs }: Pick<LayerStore, 'members' | 'configs'> & { readonly rings: KeyRings },
  { account, group }: { readonly account: string; readonly group?: string | undefined },
): AsyncGenerator<string> {
  if (group !== undefined) {
    for await (const { deviceId } of all(members, { index: 'byGroup', equals: { account, group } }))
      yield deviceId;
    return;
  }
  for await (const { deviceId } of all(rings, { index: 'byAccount', equals: { account } })) yield deviceId;
  for await (const { deviceId } of all(configs, { index: 'byAccount', equals: { account } }))
    if ((await rings.get(idOf({ account, deviceId }))) === undefined) yield deviceId;
}
