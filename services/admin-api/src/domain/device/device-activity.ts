import { Account, DeviceId, type EventData, Time } from '@signet/contracts';
import { type Collection, type CollectionSpec, isDuplicate } from '@signet/store';
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

export type DeviceActivities = Collection<DeviceActivity>;

/** Shows a session that began. One that began before the session that is shown was reported late, and changes nothing. */
export async function showSession(
  activities: Pick<DeviceActivities, 'insert' | 'update'>,
  account: string,
  { deviceId, sessionId, node, address }: EventData<'DEVICE_CONNECTED'>,
  at: string,
): Promise<void> {
  const id = `${account}/${deviceId}`;
  const session = { id, account, deviceId, connected: true, sessionId, node, address };
  const activity: DeviceActivity = { ...session, since: at, lastSeenAt: at };
  try {
    await activities.insert(activity);
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    await activities.update(id, (shown) =>
      at < shown.since || sessionId === shown.sessionId ? undefined : { document: activity },
    );
  }
}

/** Only the end of the session that is shown as live ends it: a takeover's events may come in any order. */
export async function showSessionEnd(
  activities: Pick<DeviceActivities, 'get' | 'update'>,
  id: string,
  { sessionId, reason }: EventData<'DEVICE_DISCONNECTED'>,
  at: string,
): Promise<void> {
  if ((await activities.get(id)) === undefined) return;
  await activities.update(id, (shown) =>
    shown.sessionId === sessionId
      ? { document: { ...shown, connected: false, lastSeenAt: at, endedBy: reason } }
      : undefined,
  );
}
