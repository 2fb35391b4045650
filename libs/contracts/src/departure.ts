import type { EventType, SignetEvent } from './events.ts';

/** A device left an account: it was given up, or revoked for good. */
export type Departure = {
  /** The account that had it. */
  readonly account: string;
  /** What it was called there: another device may bear the name by now. */
  readonly deviceId: string;
  readonly fingerprint: string;
  readonly by: string;
  /** When; what was written later is not of this device any more. */
  readonly at: string;
  readonly eventId: string;
};

export const departureTypes = ['DEVICE_RESET', 'DEVICE_RETIRED'] as const satisfies readonly EventType[];

/** What an event says of a device that left its account; undefined where it did not. */
export function departureOf(event: SignetEvent): Departure | undefined {
  if (event.type === 'DEVICE_RESET' && event.data.to === 'manufactured') return told(event, event.account);
  if (event.type === 'DEVICE_RETIRED' && event.data.account !== undefined)
    return told(event, event.data.account);
  return undefined;
}

function told(
  { id: eventId, time: at, data }: SignetEvent<'DEVICE_RESET' | 'DEVICE_RETIRED'>,
  account: string,
): Departure {
  const { deviceId, fingerprint, by } = data;
  return { account, deviceId, fingerprint, by, at, eventId };
}
