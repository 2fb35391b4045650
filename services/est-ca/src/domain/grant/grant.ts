import { Account, DeviceId, Fingerprint, SerialNumber, Time } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** What is settled of a certificate before it is signed. */
export const Reservation = z.object({
  publicKeyHash: Fingerprint,
  serialNumber: SerialNumber,
  authorityId: z.string(),
  /** The certificate's notBefore lies a fixed time before it. */
  issuedAt: Time,
  notAfter: Time,
});
export type Reservation = z.infer<typeof Reservation>;

/** The one live enrollment grant of a device. Its id is `<account>/<device>`, so a new hand-over replaces it. */
export const Grant = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  /** Name of the profile that it enrols under. */
  profile: z.string(),
  /** Of the bootstrap certificate it was made for. */
  fingerprint: Fingerprint,
  /** Of the device's first bootstrap certificate, where it was made for its second one. */
  identity: Fingerprint.optional(),
  /** When the device was reset, if it was since its claim: it takes the place of what it had until then. */
  resetAt: Time.optional(),
  /** SHA-256 of the secret, hex. */
  secretHash: Fingerprint,
  /** Of the one certificate that it is good for: of all that record one under it, on whatever store, one does. */
  serialNumber: SerialNumber,
  createdAt: Time,
  expiresAt: Time,
  /** Why it may no longer be used. */
  voided: z.string().optional(),
});
export type Grant = z.infer<typeof Grant>;

type GrantIndex = 'secret' | 'fingerprint' | 'expiring';

export const grants: CollectionSpec<Grant, GrantIndex> = {
  name: 'est-ca.grants',
  schema: Grant,
  indexes: {
    secret: { fields: ['secretHash'] },
    fingerprint: { fields: ['fingerprint'] },
    expiring: { fields: ['expiresAt'] },
  },
};

/** Grants as the store keeps them. */
export type Grants = Collection<Grant, GrantIndex>;

export function grantId(account: string, deviceId: string): string {
  return `${account}/${deviceId}`;
}
