import { Account, DeviceId, Fingerprint, Time } from '@signet/contracts';
import { type Collection, type CollectionSpec, StoreError } from '@signet/store';
import { z } from 'zod';
import { EnrollmentError, type ProvenDevice } from '../enrollment/enrollment-error.ts';
import type { TpmFacts } from './nonce.ts';

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

/**
 * That the TPM which vouches for a key of the device is the one that did so first: what a copied folder enrols with a
 * second TPM of the same maker is refused. The first one is remembered by its insert, so that of two at once one is.
 * @throws EnrollmentError `other-tpm`, `wrong-nonce` where it was asked by a release that did not look
 */
export async function requireSameTpm(
  tpms: Pick<DeviceTpms, 'get' | 'insert'>,
  { account, deviceId }: ProvenDevice,
  { tpmKey, manufacturer, model }: TpmFacts,
  now: number,
): Promise<void> {
  if (tpmKey === undefined)
    throw new EnrollmentError(
      'wrong-nonce',
      'attestation: an earlier release gave the nonce; ask for another',
    );
  const id = `${account}/${deviceId}`;
  const known = (await tpms.get(id)) ?? (await remember());
  if (known === undefined || known.tpmKey === tpmKey) return;
  const first = [known.manufacturer, known.model].filter((part) => part !== undefined).join(' ');
  throw new EnrollmentError(
    'other-tpm',
    `attestation: by another TPM than the first one of the device${first === '' ? '' : ` (${first})`}, which vouched for it since ${known.since}; once the device is reset, another may`,
  );

  /** Which one was faster, if not this. */
  async function remember(): Promise<DeviceTpm | undefined> {
    try {
      await tpms.insert({
        ...{ id, account, deviceId, tpmKey: tpmKey as string, since: new Date(now).toISOString() },
        ...(manufacturer === undefined ? {} : { manufacturer }),
        ...(model === undefined ? {} : { model }),
      });
      return undefined;
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'duplicate')) throw error;
      const faster = await tpms.get(id);
      // it was reset in between: whoever comes next is the first
      if (faster === undefined) throw new EnrollmentError('wrong-nonce', 'attestation: the device was reset');
      return faster;
    }
  }
}

/** The device was reset, given up or retired at `at`: the next TPM that vouches for it is the first. */
export async function forgetTpm(
  tpms: Pick<DeviceTpms, 'remove'>,
  { account, deviceId }: ProvenDevice,
  { at }: { readonly at: number },
): Promise<void> {
  await tpms.remove(`${account}/${deviceId}`, ({ since }) => Date.parse(since) <= at);
}
