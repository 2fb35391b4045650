import { Account, DeviceId, Fingerprint, Time } from '@signet/contracts';
import { type Collection, type CollectionSpec, isDuplicate, StoreError } from '@signet/store';
import { z } from 'zod';
import type { CertificateRecord } from '../certificate/certificate.ts';
import { EnrollmentError } from '../est/enrollment-error.ts';
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
    if (!isDuplicate(error)) throw error;
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

/** An operator's leave for one device to renew once with a certificate that has expired. Its id is `<account>/<device>`. */
export const RenewalGrant = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  grantedBy: z.string(),
  grantedAt: Time,
  expiresAt: Time,
  /** The key that used it: that one may come again and gets the same certificate. */
  usedBy: Fingerprint.optional(),
  usedAt: Time.optional(),
  /** When the device was reset, given up or retired: from then on nobody may use it. */
  endedAt: Time.optional(),
});
export type RenewalGrant = z.infer<typeof RenewalGrant>;

export const renewalGrants: CollectionSpec<RenewalGrant, never> = {
  name: 'est-ca.renewal-grants',
  schema: RenewalGrant,
  indexes: {},
};

/** Renewal grants as the store keeps them. */
export type RenewalGrants = Collection<RenewalGrant>;

/** Makes the one grant of a device; an earlier one, used or not, is replaced. */
export async function grantRenewal(
  grants: Pick<RenewalGrants, 'insert' | 'update'>,
  device: Device,
  options: { readonly by: string; readonly now: number; readonly lifetimeMs: number },
): Promise<RenewalGrant> {
  const grant: RenewalGrant = {
    id: idOf(device),
    account: device.account,
    deviceId: device.deviceId,
    grantedBy: options.by,
    grantedAt: new Date(options.now).toISOString(),
    expiresAt: new Date(options.now + options.lifetimeMs).toISOString(),
  };
  try {
    await grants.insert(grant);
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    await grants.update(grant.id, () => ({ document: grant }));
  }
  return grant;
}

/**
 * Uses up the grant of a device for one key.
 * @throws EnrollmentError `expired` where the device has none, or another key used it, or its time is over
 */
export async function useRenewalGrant(
  grants: Pick<RenewalGrants, 'update'>,
  device: Device,
  use: { readonly publicKeyHash: string; readonly notAfter: number; readonly now: number },
): Promise<void> {
  const refused = (reason: string) =>
    new EnrollmentError(
      'expired',
      `certificate: expired at ${new Date(use.notAfter).toISOString()}; ${reason}`,
    );
  try {
    await grants.update(idOf(device), (grant) => {
      if (grant.usedBy === use.publicKeyHash && grant.endedAt === undefined) return undefined;
      if (grant.endedAt !== undefined) throw refused(`the leave to renew it ended at ${grant.endedAt}`);
      if (grant.usedBy !== undefined) throw refused(`its one renewal was used at ${grant.usedAt}`);
      if (use.now >= Date.parse(grant.expiresAt))
        throw refused(`the leave to renew it ended at ${grant.expiresAt}`);
      const usedAt = new Date(use.now).toISOString();
      return { document: { ...grant, usedBy: use.publicKeyHash, usedAt } };
    });
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'not-found')) throw error;
    throw refused('an operator may let it renew once (signet grant-renewal)');
  }
}

/** The device was reset, given up or retired at `at`: a leave that was given until then is over. */
export async function endRenewalGrant(
  grants: Pick<RenewalGrants, 'update'>,
  device: Device,
  { at }: { readonly at: number },
): Promise<void> {
  try {
    await grants.update(idOf(device), (grant) =>
      Date.parse(grant.grantedAt) > at || grant.endedAt !== undefined
        ? undefined
        : { document: { ...grant, endedAt: new Date(at).toISOString() } },
    );
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'not-found')) throw error;
  }
}
