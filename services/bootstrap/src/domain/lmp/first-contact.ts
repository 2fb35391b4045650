import type { Change } from '@signet/store';
import { deviceEvent } from '../device/device-events.ts';
import type { DeviceRecord } from '../device/device-record.ts';

/** A contact with broker or gateway, as its event tells of it. */
export type SeenContact = {
  readonly account: string;
  readonly deviceId: string;
  /** Absent where the device came without a certificate. */
  readonly publicKeyHash: string | undefined;
  /** RFC 3339 */
  readonly at: string;
};

/**
 * A device that a token registered was seen: the first time since its registration is an event. A contact may be told
 * late, or twice. One with the key of the registration came after it, whatever the clocks say.
 */
export function firstSeenChange(
  record: DeviceRecord,
  contact: SeenContact,
): Change<DeviceRecord> | undefined {
  const { tokenRegistration, account, deviceId, id: fingerprint, authorityId } = record;
  if (tokenRegistration === undefined || tokenRegistration.seenAt !== undefined) return undefined;
  if (account !== contact.account || deviceId !== contact.deviceId) return undefined;
  const { publicKeyHash, at } = contact;
  if (publicKeyHash !== tokenRegistration.publicKeyHash && at < tokenRegistration.at) return undefined;
  const data = { deviceId, fingerprint, authorityId };
  return {
    document: { ...record, tokenRegistration: { ...tokenRegistration, seenAt: at } },
    events: [deviceEvent('DEVICE_FIRST_SEEN', record, data, Date.parse(at))],
  };
}
