import { createHash, randomBytes } from 'node:crypto';
import { Account, DeviceId, Fingerprint, SerialNumber, Time } from '@signet/contracts';
import { newSerialNumber } from '@signet/pki';
import { type Collection, type CollectionSpec, StoreError } from '@signet/store';
import { z } from 'zod';
import { EnrollmentError } from '../est/enrollment-error.ts';

/** The one live enrollment grant of a device. Its id is `<account>/<device>`, so a new handoff replaces it. */
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

/** Makes the one live grant of a device; whatever grant it had before is void. The secret is not kept. */
export async function createGrant(
  grants: Pick<Grants, 'get' | 'insert' | 'update'>,
  wanted: {
    readonly account: string;
    readonly deviceId: string;
    readonly profile: string;
    readonly fingerprint: string;
    readonly identity?: string | undefined;
    readonly resetAt?: string | undefined;
    readonly lifetimeMs: number;
    readonly now: number;
  },
): Promise<{ readonly grant: Grant; readonly secret: string }> {
  const secret = newSecret();
  const grant: Grant = {
    id: grantId(wanted.account, wanted.deviceId),
    account: wanted.account,
    deviceId: wanted.deviceId,
    profile: wanted.profile,
    fingerprint: wanted.fingerprint,
    ...(wanted.identity === undefined ? {} : { identity: wanted.identity }),
    ...(wanted.resetAt === undefined ? {} : { resetAt: wanted.resetAt }),
    secretHash: hashSecret(secret),
    serialNumber: newSerialNumber(),
    createdAt: new Date(wanted.now).toISOString(),
    expiresAt: new Date(wanted.now + wanted.lifetimeMs).toISOString(),
  };
  await put(grants, grant);
  return { grant, secret };
}

/** Whichever write is the right one is tried first: one that fails costs a commit as well. */
async function put(grants: Pick<Grants, 'get' | 'insert' | 'update'>, grant: Grant): Promise<void> {
  const insert = () => grants.insert(grant);
  const replace = async () => void (await grants.update(grant.id, () => ({ document: grant })));
  const isThere = (await grants.get(grant.id)) !== undefined;
  try {
    await (isThere ? replace() : insert());
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== (isThere ? 'not-found' : 'duplicate')) throw error;
    await (isThere ? insert() : replace());
  }
}

/** `now`: when the device asked. @throws EnrollmentError `wrong-grant` where it is not this grant's secret or it was voided, `expired-grant` */
export function checkGrant(grant: Grant, use: { readonly secretHash: string; readonly now: number }): void {
  if (grant.secretHash !== use.secretHash)
    throw new EnrollmentError('wrong-grant', 'grant: replaced by a newer one');
  checkVoid(grant);
  if (use.now >= Date.parse(grant.expiresAt))
    throw new EnrollmentError('expired-grant', `grant: expired at ${grant.expiresAt}`);
}

/** @throws EnrollmentError `wrong-grant` where the device was blocked or retired since */
export function checkVoid(grant: Grant): void {
  if (grant.voided !== undefined) throw new EnrollmentError('wrong-grant', `grant: void, ${grant.voided}`);
}

/**
 * A grant is bound to the key of the certificate that is recorded under its serial number: that key may come again until
 * the grant expires, and gets the same certificate.
 * @throws EnrollmentError `used-grant` where it is another key's
 */
export function checkUse(
  recorded: { readonly publicKeyHash: string; readonly issuedAt: string },
  publicKeyHash: string,
): void {
  if (recorded.publicKeyHash === publicKeyHash) return;
  throw new EnrollmentError(
    'used-grant',
    `grant: already used at ${recorded.issuedAt} with another key; ask for a new handoff`,
  );
}

/**
 * Voids the grant of a device that was blocked or retired at `at` (Unix ms). A grant made after that stands: the
 * event came late.
 */
export async function voidGrant(
  grants: Pick<Grants, 'update'>,
  device: { readonly account: string; readonly deviceId: string },
  cause: { readonly reason: string; readonly at: number; readonly eventId: string },
): Promise<void> {
  try {
    await grants.update(
      grantId(device.account, device.deviceId),
      (grant) =>
        grant.voided !== undefined || Date.parse(grant.createdAt) > cause.at
          ? undefined
          : { document: { ...grant, voided: cause.reason } },
      { appliedEvent: cause.eventId },
    );
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'not-found')) throw error;
  }
}

/** A new grant: 160 random bits in hex, so that it passes unescaped through shells, URLs and a PrintableString. */
export function newSecret(): string {
  return randomBytes(20).toString('hex');
}

/** Whether a text has the form of a grant. */
export function isSecret(text: string): boolean {
  return /^[0-9a-f]{40}$/.test(text);
}

/**
 * What is stored in place of the secret, and looked up by. A plain hash will do: 160 random bits cannot be guessed,
 * however fast the guesses are.
 */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret, 'utf8').digest('hex');
}
