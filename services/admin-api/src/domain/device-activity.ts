import { Account, DeviceId, type EventData, Time } from '@signet/contracts';
import type { Change, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** Where a device was last seen, told from the brokers' events. The id is `<account>/<device>`. */
export const DeviceActivity = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  connected: z.boolean(),
  sessionId: z.string(),
  node: z.string(),
  address: z.string(),
  since: Time,
  lastSeenAt: Time,
  /** Why the last session ended. */
  endedBy: z.string().optional(),
});
export type DeviceActivity = z.infer<typeof DeviceActivity>;

export const deviceActivities = {
  name: 'admin-api.activities',
  schema: DeviceActivity,
  indexes: {},
} as const satisfies CollectionSpec<DeviceActivity>;

type Session = EventData<'DEVICE_CONNECTED'>;

export function connected(account: string, session: Session, at: string): DeviceActivity {
  const { deviceId, sessionId, node, address } = session;
  return {
    id: `${account}/${deviceId}`,
    account,
    deviceId,
    connected: true,
    sessionId,
    node,
    address,
    since: at,
    lastSeenAt: at,
  };
}

/** A session that began before the one that is shown was told late. */
export function succeeded(
  activity: DeviceActivity,
  next: DeviceActivity,
): Change<DeviceActivity> | undefined {
  return next.since < activity.since || next.sessionId === activity.sessionId
    ? undefined
    : { document: next };
}

/** Only the end of the session that is shown as live ends it: a takeover's events may come in any order. */
export function disconnected(
  activity: DeviceActivity,
  session: EventData<'DEVICE_DISCONNECTED'>,
  at: string,
): Change<DeviceActivity> | undefined {
  if (activity.sessionId !== session.sessionId) return undefined;
  return { document: { ...activity, connected: false, lastSeenAt: at, endedBy: session.reason } };
}
