import type { SignetEvent } from '@signet/contracts';
import { deviceEvent } from '../device/device-events.ts';
import type { DeviceRecord } from '../device/device-record.ts';

/** The event of a device that came before anybody announced it. */
export function firstSeen(record: DeviceRecord, now: number): SignetEvent {
  const { deviceId, id: fingerprint, authorityId } = record;
  return deviceEvent('DEVICE_FIRST_SEEN', record, { deviceId, fingerprint, authorityId }, now);
}
