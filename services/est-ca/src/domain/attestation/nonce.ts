import { randomBytes } from 'node:crypto';
import { Account, DeviceId, Fingerprint, Time } from '@signet/contracts';
import { type Collection, type CollectionSpec, isDuplicate } from '@signet/store';
import { z } from 'zod';
import { EnrollmentError, type ProvenDevice } from '../est/enrollment-error.ts';

/** How long a device may take from the nonce to its request. */
export const NONCE_LIFETIME_MS = 300_000;
const NONCE_OCTETS = 32;
/** Of those that are over, so many are removed with each that is made. */
const SWEPT = 8;

/** What is known of a TPM. */
export const TpmFacts = z.object({
  /** Fingerprint of the CA that vouches for it. */
  caId: Fingerprint,
  manufacturer: z.string().optional(),
  model: z.string().optional(),
  version: z.string().optional(),
  /**
   * SHA-256 of its endorsement key, or of its attestation key where that one has the certificate: which TPM it is. Absent
   * in what earlier releases have kept.
   */
  tpmKey: Fingerprint.optional(),
});
export type TpmFacts = z.infer<typeof TpmFacts>;

/** A question that one device was asked. */
export const AttestationNonce = z.object({
  /** The nonce, hex. */
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  expiresAt: Time,
  /**
   * Where the nonce was given out encrypted to a TPM: its attestation key (TPMT_PUBLIC, base64) and what its endorsement
   * certificate says. Only that TPM can know the nonce.
   */
  activated: z.object({ attestationKey: z.string(), tpm: TpmFacts }).optional(),
});
export type AttestationNonce = z.infer<typeof AttestationNonce>;
export type AttestationNonces = Collection<AttestationNonce, 'expiry'>;

export const attestationNonces: CollectionSpec<AttestationNonce, 'expiry'> = {
  name: 'est-ca.attestation-nonces',
  schema: AttestationNonce,
  indexes: { expiry: { fields: ['expiresAt'] } },
};

/** That a nonce was answered, and by which request: that one may be repeated, no other comes through. */
export const NonceUse = z.object({ id: z.string(), requestHash: Fingerprint, expiresAt: Time });
export type NonceUse = z.infer<typeof NonceUse>;
export type NonceUses = Collection<NonceUse, 'expiry'>;

export const nonceUses: CollectionSpec<NonceUse, 'expiry'> = {
  name: 'est-ca.attestation-nonce-uses',
  schema: NonceUse,
  indexes: { expiry: { fields: ['expiresAt'] } },
};

export type NonceDeps = {
  readonly nonces: AttestationNonces;
  readonly nonceUses: NonceUses;
  readonly now: () => number;
};

/** Asks a device. */
export async function giveNonce(
  deps: NonceDeps,
  { account, deviceId }: ProvenDevice,
  activated?: AttestationNonce['activated'],
): Promise<{ readonly nonce: Uint8Array; readonly expiresAt: string }> {
  const nonce = randomBytes(NONCE_OCTETS);
  const now = deps.now();
  const expiresAt = new Date(now + NONCE_LIFETIME_MS).toISOString();
  const document = { id: nonce.toString('hex'), account, deviceId, expiresAt };
  await sweep(deps.nonces, now);
  await sweep(deps.nonceUses, now);
  await deps.nonces.insert(activated === undefined ? document : { ...document, activated });
  return { nonce: new Uint8Array(nonce), expiresAt };
}

/** The question that a statement answers. @throws EnrollmentError `wrong-nonce` */
export async function askedNonce(
  deps: Pick<NonceDeps, 'nonces' | 'now'>,
  { account, deviceId }: ProvenDevice,
  answered: Uint8Array,
): Promise<AttestationNonce> {
  const id = Buffer.from(answered).toString('hex');
  const asked = answered.length === NONCE_OCTETS ? await deps.nonces.get(id) : undefined;
  if (asked === undefined || asked.account !== account || asked.deviceId !== deviceId)
    throw new EnrollmentError('wrong-nonce', 'attestation: the nonce was not given to this device');
  if (deps.now() >= Date.parse(asked.expiresAt))
    throw new EnrollmentError('wrong-nonce', `attestation: the nonce expired at ${asked.expiresAt}`);
  return asked;
}

/** Compare-and-set by insert: of several requests with one nonce, one comes through. @throws EnrollmentError `wrong-nonce` */
export async function useNonce(
  { nonceUses }: Pick<NonceDeps, 'nonceUses'>,
  { id, expiresAt }: AttestationNonce,
  requestHash: string,
): Promise<void> {
  try {
    await nonceUses.insert({ id, requestHash, expiresAt });
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    const use = await nonceUses.get(id);
    if (use?.requestHash !== requestHash)
      throw new EnrollmentError('wrong-nonce', 'attestation: the nonce was used by another request');
  }
}

async function sweep(
  collection: {
    find(query: {
      index: 'expiry';
      to: string;
      limit: number;
    }): Promise<{ items: readonly { id: string }[] }>;
    remove(id: string): Promise<unknown>;
  },
  now: number,
): Promise<void> {
  const { items } = await collection.find({ index: 'expiry', to: new Date(now).toISOString(), limit: SWEPT });
  for (const { id } of items) await collection.remove(id);
}
