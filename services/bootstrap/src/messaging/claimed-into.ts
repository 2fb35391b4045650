import type { Bus, Subscription } from '@signet/bus';
import { listClaimedInto, settleClaimed } from '@signet/contracts';
import type { DeviceRecord, Devices } from '../collections.ts';
import { byDeviceId } from '../domain/device/find-device.ts';

type Deps = { readonly bus: Bus; readonly devices: Pick<Devices, 'find' | 'get' | 'update'> };

/** The groups that claims name, until `provisioning`, which keeps groups, has read them. */
export async function serveClaimedInto({ bus, devices }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(listClaimedInto, async ({ account, group, limit, cursor }) => {
      const page = await devices.find({
        index: 'byGroupState',
        equals: { account, groupState: 'pending', ...(group === undefined ? {} : { group }) },
        limit,
        ...(cursor === undefined ? {} : { cursor }),
      });
      const items = page.items.flatMap((record) => {
        const { deviceId, group: name, claimedAt, state } = record;
        if (name === undefined || claimedAt === undefined || state === 'retired') return [];
        return [{ deviceId, group: name, claimedAt }];
      });
      return { items, ...(page.next === undefined ? {} : { next: page.next }) };
    }),
    await bus.serve(settleClaimed, async ({ account, claims }) => {
      const settled = await Promise.all(claims.map((claim) => settle(devices, account, claim)));
      return { gone: settled.flatMap((isThere, i) => (isThere ? [] : [claims[i]?.deviceId ?? ''])) };
    }),
  ];
}

/** @returns whether the device is still claimed like that */
async function settle(
  devices: Deps['devices'],
  account: string,
  claim: { readonly deviceId: string; readonly claimedAt: string },
): Promise<boolean> {
  const record = await byDeviceId(devices, account, claim.deviceId);
  if (record === undefined) return false;
  const isThat = (current: DeviceRecord) =>
    current.account === account && current.claimedAt === claim.claimedAt && current.state !== 'retired';
  const after = await devices.update(record.id, (current) =>
    isThat(current) && current.groupState === 'pending'
      ? { document: { ...current, groupState: 'settled' } }
      : undefined,
  );
  return isThat(after);
}
