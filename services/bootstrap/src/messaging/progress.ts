import type { Bus, Subscription } from '@signet/bus';
import type { Collection } from '@signet/store';
import type { DeviceIndex, DeviceRecord } from '../domain/device/device-record.ts';
import { byDeviceId } from '../domain/device/find-device.ts';
import { advance } from '../domain/device/transitions.ts';

type Deps = { bus: Bus; devices: Collection<DeviceRecord, DeviceIndex> };

/** Two hours at the longest backoff: for so long an event waits for the store before it is a dead letter. */
const maxDeliveries = 240;

/**
 * Follows a device on its way: a certificate was issued to it, it was seen at the broker. Events of devices that are
 * not known here are ignored; repeated and late ones change nothing.
 */
export async function followProgress({ bus, devices }: Deps): Promise<Subscription> {
  return bus.consume(
    { durable: 'bootstrap-progress', types: ['CERT_ISSUED', 'DEVICE_CONNECTED'], maxDeliveries },
    async ({ id, account, subject, type }) => {
      const to = type === 'CERT_ISSUED' ? 'enrolled' : 'active';
      const record = await byDeviceId(devices, account, subject);
      if (record === undefined || advance(record, to) === undefined) return;
      await devices.update(record.id, (current) => advance(current, to), { appliedEvent: id });
    },
  );
}
