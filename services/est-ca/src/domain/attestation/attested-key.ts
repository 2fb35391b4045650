import { Account, DeviceId, Fingerprint, Time } from '@signet/contracts';
import { type Collection, type CollectionSpec, StoreError } from '@signet/store';
import { z } from 'zod';
import type { ProvenDevice } from '../enrollment/enrollment-error.ts';
import { TpmFacts } from './nonce.ts';

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
  const document = { ...attested, id: idOf(attested, attested.publicKeyHash) };
  try {
    await keys.insert(document);
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'duplicate')) throw error;
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
  const found = await keys.get(idOf(device, publicKeyHash));
  return found !== undefined && now < Date.parse(found.expiresAt) ? found.tpm : undefined;
}

function idOf({ account, deviceId }: ProvenDevice, publicKeyHash: string): string {
  return `${account}/${deviceId}/${publicKeyHash}`;
}
