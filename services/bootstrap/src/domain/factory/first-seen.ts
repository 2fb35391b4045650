import { newEvent, type SignetEvent } from '@signet/contracts';
import type { DeviceRecord } from '../device/device-record.ts';
import type { FactoryPin } from './factory-pins.ts';

/** The events of a device that came before anybody announced it: one to each account that has its CA pinned. */
export function firstSeenEvents(
  record: DeviceRecord,
  pins: readonly FactoryPin[],
  now: number,
): SignetEvent[] {
  const { deviceId, id: fingerprint } = record;
  return pins.map(({ account, authorityId }) =>
    newEvent('DEVICE_FIRST_SEEN', {
      ...{ account, subject: deviceId, time: now },
      data: { deviceId, fingerprint, authorityId },
    }),
  );
}
