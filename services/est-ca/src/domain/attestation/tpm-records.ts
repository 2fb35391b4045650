import { Account, DeviceId, Fingerprint, Time } from '@signet/contracts';
import { type Collection, type CollectionSpec, isDuplicate } from '@signet/store';
import { z } from 'zod';
import { EnrollmentError, type ProvenDevice } from '../est/enrollment-error.ts';
import { TpmFacts } from './nonce.ts';

/** The first TPM that vouched for a device. Its id is `<account>/<device>`. */
export const DeviceTpm = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  /** SHA-256 of the key that makes it that TPM and no other of its maker. */
  tpmKey: Fingerprint,
  manufacturer: z.string().optional(),
  model: z.string().optional(),
  since: Time,
});
export type DeviceTpm = z.infer<typeof DeviceTpm>;
export type DeviceTpms = Collection<DeviceTpm, never>;

export const deviceTpms: CollectionSpec<DeviceTpm, never> = {
  name: 'est-ca.device-tpms',
  schema: DeviceTpm,
  indexes: {},
};

/** A TPM that can be told from the others of its maker. */
export type IdentifiedTpm = TpmFacts & { readonly tpmKey: string };

/**
 * Requires the TPM that vouches for a key of the device to be the first one that did: what a copied folder enrols with a
 * second TPM of the same maker is refused. Compares only; {@link pinTpm} records the first one.
 * @throws EnrollmentError `other-tpm`, `wrong-nonce` where an earlier release, which did not compare, gave the nonce
 */
export async function requireSameTpm(
  tpms: Pick<DeviceTpms, 'get'>,
  device: ProvenDevice,
  tpm: TpmFacts,
): Promise<IdentifiedTpm> {
  const { tpmKey } = tpm;
  if (tpmKey === undefined)
    throw new EnrollmentError(
      'wrong-nonce',
      'attestation: an earlier release gave the nonce; ask for another',
    );
  const pinned = await tpms.get(idOf(device));
  if (pinned !== undefined && pinned.tpmKey !== tpmKey) throw otherTpm(pinned);
  return { ...tpm, tpmKey };
}

/**
 * Records the first TPM of a device, right before its certificate is signed: a request that is declined leaves nothing.
 * The insert is the compare-and-set: of two TPMs at once one is recorded, and the other is refused.
 * @throws EnrollmentError `other-tpm`, `wrong-nonce` where the device was reset in between
 */
export async function pinTpm(
  tpms: Pick<DeviceTpms, 'get' | 'insert'>,
  { account, deviceId }: ProvenDevice,
  { tpmKey, manufacturer, model }: IdentifiedTpm,
  now: number,
): Promise<DeviceTpm | undefined> {
  const id = idOf({ account, deviceId });
  let pinned = await tpms.get(id);
  if (pinned === undefined) {
    try {
      const pin: DeviceTpm = {
        ...{ id, account, deviceId, tpmKey, since: new Date(now).toISOString() },
        ...(manufacturer === undefined ? {} : { manufacturer }),
        ...(model === undefined ? {} : { model }),
      };
      await tpms.insert(pin);
      return pin;
    } catch (error) {
      if (!isDuplicate(error)) throw error;
      pinned = await tpms.get(id);
      if (pinned === undefined) throw new EnrollmentError('wrong-nonce', 'attestation: the device was reset');
    }
  }
  if (pinned.tpmKey !== tpmKey) throw otherTpm(pinned);
  return undefined;
}

/** Takes a pin back whose certificate was revoked as soon as it was made: the device was reset meanwhile, say. */
export async function unpinTpm(tpms: Pick<DeviceTpms, 'remove'>, pin: DeviceTpm): Promise<void> {
  await tpms.remove(pin.id, ({ tpmKey, since }) => tpmKey === pin.tpmKey && since === pin.since);
}

function otherTpm({ manufacturer, model, since }: DeviceTpm): EnrollmentError {
  const first = [manufacturer, model].filter((part) => part !== undefined).join(' ');
  return new EnrollmentError(
    'other-tpm',
    `attestation: by another TPM than the first one of the device${first === '' ? '' : ` (${first})`}, which vouched for it since ${since}; once the device is reset, another may`,
  );
}

function idOf({ account, deviceId }: ProvenDevice): string {
  return `${account}/${deviceId}`;
}

/** The device was reset, given up or retired at `at`: the next TPM that vouches for it is the first. */
export async function forgetTpm(
  tpms: Pick<DeviceTpms, 'remove'>,
  device: ProvenDevice,
  { at }: { readonly at: number },
): Promise<void> {
  await tpms.remove(idOf(device), ({ since }) => Date.parse(since) <= at);
}

/** A key that a TPM vouched for ahead of the CSR, for devices whose CSRs carry no attributes. */
export const AttestedKeyDocument = z.object({
  /** Account, device and key. */
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  publicKeyHash: Fingerprint,
  tpm: TpmFacts,
  expiresAt: Time,
});
export type AttestedKeyDocument = z.infer<typeof AttestedKeyDocument>;
export type AttestedKeys = Collection<AttestedKeyDocument, never>;

export const attestedKeys: CollectionSpec<AttestedKeyDocument, never> = {
  name: 'est-ca.attested-keys',
  schema: AttestedKeyDocument,
  indexes: {},
};

export async function keepAttestedKey(
  keys: Pick<AttestedKeys, 'insert' | 'update'>,
  attested: Omit<AttestedKeyDocument, 'id'>,
): Promise<void> {
  const document = { ...attested, id: keyIdOf(attested, attested.publicKeyHash) };
  try {
    await keys.insert(document);
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    await keys.update(document.id, () => ({ document }));
  }
}

/** What was said of the key, as long as it holds. */
export async function findAttestedKey(
  keys: Pick<AttestedKeys, 'get'>,
  device: ProvenDevice,
  publicKeyHash: string,
  now: number,
): Promise<TpmFacts | undefined> {
  const found = await keys.get(keyIdOf(device, publicKeyHash));
  return found !== undefined && now < Date.parse(found.expiresAt) ? found.tpm : undefined;
}

function keyIdOf({ account, deviceId }: ProvenDevice, publicKeyHash: string): string {
  return `${account}/${deviceId}/${publicKeyHash}`;
}
