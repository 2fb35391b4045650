import { createHash } from 'node:crypto';
import { Account, DeviceId, Fingerprint, SerialNumber, Time } from '@signet/contracts';
import { type Collection, type CollectionSpec, isDuplicate } from '@signet/store';
import { z } from 'zod';
import { EnrollmentError } from '../est/enrollment-error.ts';
import type { Certificates } from './certificate.ts';

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

/** A reservation, and whether an earlier request may have been issued a certificate under it. */
export type Reserved = { readonly reservation: Reservation; readonly mayBeIssued: boolean };

/** What a renewal settles before anything is signed. Its id is a hash of the current serial number and the new key. */
export const Renewal = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  currentSerialNumber: SerialNumber,
  reservation: Reservation,
  /** From then on a request of the same key is no retry, and this decides nothing. */
  retryUntil: Time,
});
export type Renewal = z.infer<typeof Renewal>;

export const renewals: CollectionSpec<Renewal, 'passing'> = {
  name: 'est-ca.renewals',
  schema: Renewal,
  indexes: { passing: { fields: ['retryUntil'] } },
};

/**
 * Inserts the reservation, or finds the one that an earlier request with the same certificate and key made. One whose
 * certificate is past half of its life is made anew: that request is no retry any more.
 */
export async function reserveRenewal(
  renewals: Pick<Collection<Renewal>, 'insert' | 'update'>,
  wanted: Omit<Renewal, 'id' | 'retryUntil'>,
  now: number,
): Promise<Reserved> {
  const id = createHash('sha256')
    .update(`${wanted.currentSerialNumber}:${wanted.reservation.publicKeyHash}`)
    .digest('hex');
  const retryUntil = new Date(halfOf(wanted.reservation)).toISOString();
  const document = { ...wanted, id, retryUntil };
  try {
    await renewals.insert(document);
    return { reservation: wanted.reservation, mayBeIssued: false };
  } catch (error) {
    if (!isDuplicate(error)) throw error;
  }
  const recorded = await renewals.update(id, ({ reservation }) =>
    isPastHalf(reservation, now) ? { document } : undefined,
  );
  return { reservation: recorded.reservation, mayBeIssued: true };
}

function isPastHalf(reservation: Reservation, now: number): boolean {
  return now > halfOf(reservation);
}

function halfOf({ issuedAt, notAfter }: Reservation): number {
  return (Date.parse(issuedAt) + Date.parse(notAfter)) / 2;
}

/**
 * What a device that enrolled by a profile's shared secret was reserved. One for each device: whoever knows the secret
 * cannot take the place of a device that has a certificate in force.
 */
export const SecretUse = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  reservation: Reservation,
});
export type SecretUse = z.infer<typeof SecretUse>;

export const secretUses: CollectionSpec<SecretUse, never> = {
  name: 'est-ca.secret-uses',
  schema: SecretUse,
  indexes: {},
};

/**
 * Finds an earlier reservation of the same key, or inserts the proposed one where the device has no certificate in force.
 * @throws EnrollmentError `used-grant` where it has one with another key
 */
export async function reserveBySecret(
  deps: {
    readonly secretUses: Pick<Collection<SecretUse>, 'get' | 'insert' | 'update'>;
    readonly certificates: Pick<Certificates, 'get'>;
  },
  device: { readonly account: string; readonly deviceId: string },
  proposed: Reservation,
  now: number,
): Promise<Reserved> {
  const id = `${device.account}/${device.deviceId}`;
  const document: SecretUse = {
    id,
    account: device.account,
    deviceId: device.deviceId,
    reservation: proposed,
  };
  const recorded = await deps.secretUses.get(id);
  if (recorded === undefined) {
    try {
      await deps.secretUses.insert(document);
      return { reservation: proposed, mayBeIssued: false };
    } catch (error) {
      if (!isDuplicate(error)) throw error;
      return reserveBySecret(deps, device, proposed, now);
    }
  }
  const over = await isOver(deps.certificates, recorded.reservation, now);
  const kept = await deps.secretUses.update(id, (current) => {
    if (current.reservation.serialNumber !== recorded.reservation.serialNumber) return undefined;
    return over ? { document } : undefined;
  });
  if (kept.reservation.publicKeyHash !== proposed.publicKeyHash)
    throw new EnrollmentError(
      'used-grant',
      `secret: device "${device.deviceId}" has a certificate with another key until ${kept.reservation.notAfter}; renew that, or have it revoked`,
    );
  return { reservation: kept.reservation, mayBeIssued: true };
}

async function isOver(
  certificates: Pick<Certificates, 'get'>,
  { serialNumber, notAfter }: Reservation,
  now: number,
): Promise<boolean> {
  if (now >= Date.parse(notAfter)) return true;
  return (await certificates.get(serialNumber))?.revokedAt !== undefined;
}
