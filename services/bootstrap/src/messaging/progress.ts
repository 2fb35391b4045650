import type { Bus, Subscription } from '@signet/bus';
import type { SignetEvent } from '@signet/contracts';
import type { Collection } from '@signet/store';
import type { DeviceIndex, DeviceRecord } from '../collections.ts';
import { byDeviceId } from '../domain/device/find-device.ts';
import { advance } from '../domain/device/transitions.ts';
import { firstSeenChange } from '../domain/lmp/register-again.ts';

type Deps = { bus: Bus; devices: Collection<DeviceRecord, DeviceIndex> };

/** Two hours at the longest backoff: for so long an event waits for the store before it is a dead letter. */
const maxDeliveries = 240;

/**
 * Follows a device on its way: a certificate was issued to it, it was seen at the broker. Events of devices that are
 * not known here are ignored; repeated and late ones change nothing, and what happened before its claim or its reset
 * says nothing of the way that it is on now.
 */
export function followProgress({ bus, devices }: Deps): Promise<Subscription[]> {
  const follow = async ({ id, account, subject, type, time }: SignetEvent): Promise<void> => {
    const to = type === 'CERT_ISSUED' ? 'enrolled' : 'active';
    const record = await byDeviceId(devices, account, subject);
    const step = (current: DeviceRecord) =>
      current.account === account && current.deviceId === subject && time >= (current.onboardingSince ?? '')
        ? advance(current, to)
        : undefined;
    if (record === undefined || step(record) === undefined) return;
    await devices.update(record.id, step, { appliedEvent: id });
  };
  // the step is its own guard against repetition: `follow` has marked the same event as applied to the same record
  const greet = async ({ account, subject, time: at, data }: SignetEvent): Promise<void> => {
    const publicKeyHash = 'publicKeyHash' in data ? data.publicKeyHash : undefined;
    const contact = { account, deviceId: subject, publicKeyHash, at };
    const record = await byDeviceId(devices, account, subject);
    if (record === undefined || firstSeenChange(record, contact) === undefined) return;
    await devices.update(record.id, (current) => firstSeenChange(current, contact));
  };
  return Promise.all([
    bus.consume(
      { durable: 'bootstrap-progress', types: ['CERT_ISSUED', 'DEVICE_CONNECTED'], maxDeliveries },
      follow,
    ),
    bus.consume(
      { durable: 'bootstrap-first-seen', types: ['DEVICE_CONNECTED', 'DEVICE_SEEN'], maxDeliveries },
      greet,
    ),
    // whoever renews has been there with its certificate
    bus.consume({ durable: 'bootstrap-renewals', types: ['CERT_RENEWED'], maxDeliveries }, follow),
  ]);
}
