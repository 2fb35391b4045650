import type * as operations from '@signet/contracts';
import type { DeviceRecord } from '../../collections.ts';
import type { Context, InputOf } from '../../context.ts';
import { byDeviceId } from '../device/find-device.ts';
import { readPage } from '../documents/documents.ts';

/** The groups that claims name, until `provisioning`, which keeps groups, has read them. */
export async function listClaimedInto(
  { devices }: Pick<Context, 'devices'>,
  { account, group, ...page }: InputOf<typeof operations.listClaimedInto>,
) {
  const equals = { account, groupState: 'pending', ...(group === undefined ? {} : { group }) } as const;
  const { items, next } = await readPage(devices, { index: 'byGroupState', equals }, page);
  const claims = items.flatMap(({ deviceId, group: name, claimedAt, state }) => {
    if (name === undefined || claimedAt === undefined || state === 'retired') return [];
    return [{ deviceId, group: name, claimedAt }];
  });
  return { items: claims, ...(next === undefined ? {} : { next }) };
}

/** The groups of these claims were read. @returns the devices that are not claimed like that any more */
export async function settleClaimed(
  { devices }: Pick<Context, 'devices'>,
  { account, claims }: InputOf<typeof operations.settleClaimed>,
): Promise<{ gone: string[] }> {
  const isThere = await Promise.all(claims.map((claim) => settleClaim({ devices }, account, claim)));
  return { gone: claims.flatMap(({ deviceId }, i) => (isThere[i] === true ? [] : [deviceId])) };
}

/** @returns whether the device is still claimed like that */
async function settleClaim(
  { devices }: Pick<Context, 'devices'>,
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
