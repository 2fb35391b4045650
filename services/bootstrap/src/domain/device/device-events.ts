import {
  type DeviceState,
  type EventData,
  type EventType,
  newEvent,
  type SignetEvent,
} from '@signet/contracts';
import { BootstrapError } from './bootstrap-error.ts';
import type { DeviceRecord } from './device-record.ts';
import { rulerOf } from './ownership.ts';

/** What most events of a device carry. */
export function deviceFacts(record: DeviceRecord) {
  return {
    deviceId: record.deviceId,
    fingerprint: record.id,
    deviceSerialNumber: record.deviceSerialNumber,
    ...optional('model', record.model),
  };
}

/** An event of a device, told to its owner, or to whoever made it. */
export function deviceEvent<T extends EventType>(
  type: T,
  record: DeviceRecord,
  data: EventData<T>,
  now: number,
): SignetEvent {
  const account = rulerOf(record);
  return newEvent(type, { account, subject: record.deviceId, data, time: now }) as SignetEvent;
}

/** A transition that a command asks for and that there is not: names both states. */
export function illegalTransition(record: DeviceRecord, to: DeviceState): BootstrapError {
  return new BootstrapError(
    'illegal-transition',
    `state: a device cannot go from "${record.state}" to "${to}"`,
    'state',
  );
}

export function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: V });
}

export function iso(now: number): string {
  return new Date(now).toISOString();
}
