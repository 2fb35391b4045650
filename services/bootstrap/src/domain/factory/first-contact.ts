import type { FirstContact } from '@signet/contracts';
import type { Certificate } from '@signet/pki';
import { type ClaimDeps, claimDevice } from '../claim/claim-device.ts';
import { BootstrapError } from '../device/bootstrap-error.ts';
import { byFingerprint, type Devices } from '../device/find-device.ts';
import { newDevice, takeUp } from './new-device.ts';

/** A factory CA whose key is elsewhere, and what its account wants of devices that nobody announced. */
export type FactoryElsewhere = {
  readonly authorityId: string;
  readonly account: string;
  readonly firstContact: FirstContact;
};

/** What is looked at and done when a device comes. */
export type FirstContacts = {
  /** The CA with this subject key id, if its key is elsewhere. */
  readonly factoryOf: (keyId: string) => FactoryElsewhere | undefined;
  /** @throws BootstrapError as {@link meet} */
  readonly meet: (factory: FactoryElsewhere, certificate: Certificate) => Promise<void>;
};

/**
 * The first contact of a device whose certificate was made at a registered CA (F48): it is recorded, and claimed where
 * the account wants that. A device that was claimed before is left alone: whoever gave it up meant it.
 * @param certificate verified, of this CA
 * @returns why it could not be claimed, if so: it waits then
 * @throws BootstrapError `serial-number-taken`, `certificate-serial-taken`
 */
export async function meet(
  deps: ClaimDeps & { readonly devices: Pick<Devices, 'insert'> },
  { authorityId, account, firstContact }: FactoryElsewhere,
  certificate: Certificate,
): Promise<string | undefined> {
  if (firstContact === 'refused') return undefined;
  const now = deps.now();
  const { fingerprint } = certificate;
  const known = await byFingerprint(deps.devices, fingerprint);
  if (known === undefined) {
    const record = newDevice({ certificate, factoryAccount: account, authorityId, now });
    await takeUp(deps.devices, record, { seen: true, now });
  }
  const isClaimable =
    known === undefined || (known.state === 'manufactured' && known.onboardingSince === undefined);
  if (firstContact !== 'claimed' || !isClaimable) return undefined;
  try {
    await claimDevice(deps, { account, fingerprint, by: `first contact, CA ${authorityId}` });
    return undefined;
  } catch (error) {
    if (error instanceof BootstrapError) return error.message;
    throw error;
  }
}
