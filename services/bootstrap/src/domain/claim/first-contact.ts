import type { Certificate } from '@signet/pki';
import type { Devices } from '../../collections.ts';
import { byFingerprint } from '../device/find-device.ts';
import { BootstrapError } from '../errors.ts';
import type { FactoryPin } from '../factory/factory-pins.ts';
import { insertDevice, newDeviceRecord } from '../factory/new-device.ts';
import { type ClaimDeps, claimDevice, isNeverClaimed } from './claim-device.ts';

/** What is looked at and done when a device comes. */
export type FirstContacts = {
  /** The pins in force of the CA with this subject key id, if its key is elsewhere. */
  readonly pinsOf: (keyId: string) => readonly FactoryPin[];
  /** @throws BootstrapError as {@link recordFirstContact} */
  readonly meet: (pins: readonly FactoryPin[], certificate: Certificate) => Promise<void>;
};

/**
 * The first contact of a device whose certificate was made at a registered CA (F48): it is recorded, and claimed where
 * the account wants that. A device that was claimed before is left alone: whoever gave it up meant it. Where several
 * accounts have the CA pinned, the device is of none of them: only a claim decides whose it is.
 * @param pins in force, of the CA that signed it
 * @param certificate verified, of this CA
 * @returns why it could not be claimed, if so: it waits then
 * @throws BootstrapError `serial-number-taken`, `certificate-serial-taken`
 */
export async function recordFirstContact(
  deps: ClaimDeps & { readonly devices: Pick<Devices, 'insert'> },
  pins: readonly FactoryPin[],
  certificate: Certificate,
): Promise<string | undefined> {
  const [first] = pins;
  if (first === undefined || refusesFirstContact(pins)) return undefined;
  const now = deps.now();
  const { fingerprint } = certificate;
  const known = await byFingerprint(deps.devices, fingerprint);
  const sole = pins.length === 1 ? first : undefined;
  if (known === undefined) {
    const { authorityId } = first;
    const record = newDeviceRecord({ certificate, factoryAccount: sole?.account, authorityId, now });
    await insertDevice(deps.devices, record, { seenBy: pins, now });
  }
  const isClaimable = known === undefined || isNeverClaimed(known);
  if (sole?.firstContact !== 'claimed' || !isClaimable) return undefined;
  try {
    const { account, authorityId } = sole;
    const by = `first contact, CA ${authorityId}`;
    await claimDevice(deps, { account, fingerprint, by, onlyFirst: true });
    return undefined;
  } catch (error) {
    if (error instanceof BootstrapError) return error.message;
    throw error;
  }
}

/** Whether none of those that pinned the CA wants devices that nobody announced. */
export function refusesFirstContact(pins: readonly FactoryPin[]): boolean {
  return pins.every(({ firstContact = 'refused' }) => firstContact === 'refused');
}
