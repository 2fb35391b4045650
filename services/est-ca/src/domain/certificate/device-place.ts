import type { Collection } from '@signet/store';
import { EnrollmentError } from '../est/enrollment-error.ts';
import { type CertificateRecord, type Certificates, isLive } from './certificate.ts';
import type { SecretUse } from './reservation.ts';
import { isOnHold } from './revocation.ts';

/** By what a device comes in that renews nothing. */
export type Entry =
  | ({ readonly by: 'handoff' } & Vouched)
  | ({ readonly by: 'registration' } & Vouched)
  | { readonly by: 'certificate' }
  | { readonly by: 'secret' };

/** What the bootstrap service knows of the device. */
type Vouched = {
  /** Fingerprint of the device's first bootstrap certificate. */
  readonly identity?: string | undefined;
  /** When an operator reset the device: what it was issued until then is void. */
  readonly resetAt?: string | undefined;
};

/** A first certificate that is about to be recorded. */
export type Entrance = {
  readonly account: string;
  readonly deviceId: string;
  /** Label of the profile that it is issued under. */
  readonly profile: string;
  readonly publicKeyHash: string;
  readonly entry: Entry;
};

export type PlaceDeps = {
  readonly certificates: Pick<Certificates, 'find'>;
  readonly secretUses: Pick<Collection<SecretUse>, 'get'>;
};

/**
 * Whether a device may get a certificate that renews none. It may not where that would take the place of another one in
 * force: of an entry by handoff, only an operator's reset or the same bootstrap certificate makes it the same device; of
 * all others, the same key under the same profile. The certificates are read in the order of their issuance: whatever
 * replaces one in force is recorded before that one ends, and so is seen.
 * @returns the number that the record takes: of two enrolments at a time the store takes one, and the other asks again
 * @throws EnrollmentError `device-enrolled`, `used-grant` where the same secret enrolled it with another key,
 * `key-compromised`
 */
export async function takePlace(deps: PlaceDeps, entrance: Entrance, now: number): Promise<number> {
  const { account, deviceId, entry, publicKeyHash } = entrance;
  let last = 0;
  let cursor: string | undefined;
  do {
    const page = await deps.certificates.find({
      index: 'device',
      equals: { account, deviceId },
      limit: 1000,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const record of page.items) {
      last = Math.max(last, record.enrolment ?? 0);
      if (entry.by === 'secret' || record.publicKeyHash === publicKeyHash) requireNotCompromised(record);
      if (isInForce(record, now) && !(await mayReplace(deps, record, entrance)))
        throw enrolled(record, entrance);
    }
    cursor = page.next;
  } while (cursor !== undefined);
  return last + 1;
}

/** One on hold comes back when the hold is lifted. */
function isInForce(record: CertificateRecord, now: number): boolean {
  return isLive(record, now) || (isOnHold(record) && Date.parse(record.notAfter) > now);
}

async function mayReplace(
  { secretUses }: PlaceDeps,
  record: CertificateRecord,
  { entry, publicKeyHash, profile, account, deviceId }: Entrance,
): Promise<boolean> {
  const isSameKey = record.publicKeyHash === publicKeyHash;
  if (entry.by === 'certificate' || entry.by === 'secret') return isSameKey && record.profile === profile;
  if (isSameKey) return true;
  if (entry.resetAt !== undefined && record.issuedAt <= entry.resetAt) return true;
  if (entry.by === 'registration') return false;
  if (record.enteredBy !== undefined)
    return entry.identity !== undefined && record.identity === entry.identity;
  // issued before entries were kept: only of those by a shared secret there is another record
  return (await secretUses.get(`${account}/${deviceId}`)) === undefined;
}

function requireNotCompromised({ revokedAt, revocationReason, serialNumber, deviceId }: CertificateRecord) {
  if (revokedAt === undefined || revocationReason !== 'keyCompromise') return;
  throw new EnrollmentError(
    'key-compromised',
    `key: certificate ${serialNumber} of "${deviceId}" was revoked at ${revokedAt} for keyCompromise; since then neither its key nor a shared secret enrols the device: hand it over by its bootstrap certificate, with a new key`,
  );
}

function enrolled(record: CertificateRecord, { entry, profile: asked }: Entrance): EnrollmentError {
  const { serialNumber, deviceId, profile, notAfter } = record;
  if (entry.by === 'secret' && record.enteredBy === 'secret' && profile === asked)
    return new EnrollmentError(
      'used-grant',
      `secret: device "${deviceId}" has a certificate with another key until ${notAfter}; renew that, or have it revoked`,
    );
  const ways = {
    handoff: 'grant',
    registration: 'registration',
    certificate: 'certificate',
    secret: 'secret',
  };
  return new EnrollmentError(
    'device-enrolled',
    `${ways[entry.by]}: device "${deviceId}" has certificate ${serialNumber} of profile "${profile}" in force until ${notAfter}; renew that one, or have the device reset or the certificate revoked`,
  );
}
