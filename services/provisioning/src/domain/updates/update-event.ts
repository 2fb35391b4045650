import { Account, DeviceId, newEvent, type SignetEvent, Time, uuidv7 } from '@signet/contracts';
import type { CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** What a device reports of an update, as `POST /events` carries it. The device's clock is not relied on. */
export const UpdateReport = z.object({
  id: z.uuid(),
  deviceTime: z.string().max(64),
  event: z.object({
    correlationId: z.string().min(1).max(128),
    success: z.boolean().nullish(),
    targetName: z.string().max(256).nullish(),
    version: z.string().max(64).nullish(),
    details: z.string().max(4096).nullish(),
  }),
  eventType: z.object({ id: z.string().min(1).max(128), version: z.number() }),
});
export type UpdateReport = z.infer<typeof UpdateReport>;

/** By this event a device says that it applied a version of its config: `event.version` is that version. */
export const CONFIG_APPLIED = 'ConfigApplied';

/** A report as it is kept; the id is `<account>/<device>/<event id>`. */
export const UpdateEvent = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  updateId: z.string(),
  eventId: z.string(),
  /** UUIDv7: the order in which reports came. */
  order: z.uuidv7(),
  event: z.string(),
  target: z.string(),
  version: z.string(),
  success: z.boolean().optional(),
  details: z.string().optional(),
  deviceTime: z.string(),
  receivedAt: Time,
});
export type UpdateEvent = z.infer<typeof UpdateEvent>;

export const updateEvents = {
  name: 'provisioning.update-events',
  schema: UpdateEvent,
  indexes: {
    byUpdate: { fields: ['account', 'deviceId', 'updateId', 'order'] },
    byAge: { fields: ['receivedAt'] },
  },
} as const satisfies CollectionSpec<UpdateEvent>;
export type UpdateEventIndex = keyof typeof updateEvents.indexes;

/** An update of a device and how far it is; the id is `<account>/<device>/<update id>`. */
export const Update = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  updateId: z.string(),
  target: z.string(),
  version: z.string(),
  startedAt: Time,
  lastEvent: z.string(),
  lastAt: Time,
  success: z.boolean().optional(),
});
export type Update = z.infer<typeof Update>;

export const updates = {
  name: 'provisioning.updates',
  schema: Update,
  indexes: {
    byDevice: { fields: ['account', 'deviceId', 'startedAt'] },
    byAge: { fields: ['lastAt'] },
  },
} as const satisfies CollectionSpec<Update>;
export type UpdateIndex = keyof typeof updates.indexes;

type Reporter = { readonly account: string; readonly deviceId: string };

export function updateEvent(
  { account, deviceId }: Reporter,
  { id, deviceTime, event, eventType }: UpdateReport,
  now: number,
): UpdateEvent {
  const { correlationId, success, details } = event;
  return {
    id: `${account}/${deviceId}/${id}`,
    ...{ account, deviceId, deviceTime, eventId: id, order: uuidv7(now) },
    updateId: correlationId,
    event: eventType.id,
    target: event.targetName ?? '',
    version: event.version ?? '',
    receivedAt: new Date(now).toISOString(),
    ...(success == null ? {} : { success }),
    ...(details == null ? {} : { details }),
  };
}

/** The update of this event, as it stands with it. */
export function updateWith(known: Update | undefined, told: UpdateEvent): Update {
  const { account, deviceId, updateId, target, version, event, receivedAt, success } = told;
  const started = known ?? {
    id: `${account}/${deviceId}/${updateId}`,
    ...{ account, deviceId, updateId, startedAt: receivedAt },
  };
  return {
    ...started,
    target: target === '' ? (known?.target ?? '') : target,
    version: version === '' ? (known?.version ?? '') : version,
    ...{ lastEvent: event, lastAt: receivedAt },
    ...(success === undefined ? {} : { success }),
  };
}

/** The step of a key rotation that it reports; undefined for events of other updates. */
export function rotationStep({
  account,
  deviceId,
  updateId,
  event,
  success,
  details,
  receivedAt,
}: UpdateEvent): SignetEvent | undefined {
  if (!updateId.startsWith('certs-')) return undefined;
  return newEvent('DEVICE_ROTATION_STEP', {
    ...{ account, subject: deviceId, time: Date.parse(receivedAt) },
    data: {
      deviceId,
      rotationId: updateId,
      step: event,
      success: success ?? true,
      ...(details === undefined ? {} : { details }),
    },
  });
}
