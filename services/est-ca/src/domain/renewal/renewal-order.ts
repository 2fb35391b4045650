import { Account, DeviceId, Time } from '@signet/contracts';
import { type Collection, type CollectionSpec, StoreError } from '@signet/store';
import { z } from 'zod';
import type { CertificateRecord } from '../certificate/certificate.ts';
import type { Profile } from '../profile/profile.ts';

/** An operator's order to rotate. Its id is `<account>/<device>`. */
export const RenewalOrder = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  rotationId: z.string(),
  orderedBy: z.string(),
  /** What was issued until then renews by it: so it is over with the first certificate that comes of it. */
  orderedAt: Time,
  expiresAt: Time,
});
export type RenewalOrder = z.infer<typeof RenewalOrder>;

/** Orders to rotate as the store keeps them. */
export type RenewalOrders = Collection<RenewalOrder>;

export const renewalOrders: CollectionSpec<RenewalOrder, never> = {
  name: 'est-ca.renewal-orders',
  schema: RenewalOrder,
  indexes: {},
};

type Device = { readonly account: string; readonly deviceId: string };

const idOf = ({ account, deviceId }: Device): string => `${account}/${deviceId}`;

/** The latest order of a device takes the place of an earlier one. */
export async function orderRenewal(
  orders: Pick<RenewalOrders, 'insert' | 'update'>,
  device: Device,
  order: Pick<RenewalOrder, 'rotationId' | 'orderedBy' | 'orderedAt' | 'expiresAt'>,
): Promise<void> {
  const { account, deviceId } = device;
  const document: RenewalOrder = { id: idOf(device), account, deviceId, ...order };
  try {
    await orders.insert(document);
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'duplicate')) throw error;
    // asked again after a lost answer, it is the same order
    await orders.update(document.id, (current) =>
      current.rotationId === document.rotationId ? undefined : { document },
    );
  }
}

export async function withdrawRenewal(
  orders: Pick<RenewalOrders, 'remove'>,
  device: Device,
  rotationId: string | undefined,
): Promise<void> {
  await orders.remove(idOf(device), (order) => (rotationId ?? order.rotationId) === order.rotationId);
}

/**
 * The profile as it holds for a renewal: an order opens its window, and stands for the approval of an operator. All else
 * is as the profile says.
 */
export async function profileOfRenewal(
  orders: Pick<RenewalOrders, 'get'>,
  current: Pick<CertificateRecord, 'account' | 'deviceId' | 'issuedAt'>,
  profile: Profile,
  now: number,
): Promise<Profile> {
  if (profile.renewalWindowDays === undefined && profile.approval !== 'every') return profile;
  const order = await orders.get(idOf(current));
  const isInForce =
    order !== undefined && current.issuedAt <= order.orderedAt && now < Date.parse(order.expiresAt);
  if (!isInForce) return profile;
  const { renewalWindowDays: _window, ...rest } = profile;
  return { ...rest, approval: profile.approval === 'every' ? 'first' : profile.approval };
}
