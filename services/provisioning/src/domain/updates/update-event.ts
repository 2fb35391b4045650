import { Account, DeviceId, newEvent, type SignetEvent, Time, uuidv7 } from '@signet/contracts';
import type { Collection } from '@signet/store';
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

/** What FoundriesFactory's client reports of a rotation, by whatever id that rotation was ordered. */
const ROTATION_COMPLETED = 'CertRotationCompleted';
const ROTATION_STEPS: ReadonlySet<string> = new Set([
  'CertRotationStarted',
  'Generate new certificate',
  'Lock device configuration on server',
  'Update local configuration with new key',
  'Update device specific configuration on server with new key',
  'Finalize aktualizr configuration',
  ROTATION_COMPLETED,
]);

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

export type UpdateEvents = Collection<UpdateEvent, 'byUpdate' | 'byAge'>;

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
  /** The step of a rotation that failed last, and did not succeed since. */
  failedStep: z.string().optional(),
});
export type Update = z.infer<typeof Update>;

export type Updates = Collection<Update, 'byDevice' | 'byAge'>;

type Reporter = { readonly account: string; readonly deviceId: string };

/** `known`: the update of this report so far. */
export function newUpdateEvent(
  { account, deviceId }: Reporter,
  { id, deviceTime, event, eventType }: UpdateReport,
  now: number,
  known?: Pick<Update, 'failedStep'>,
): UpdateEvent {
  const { correlationId } = event;
  const { success, details } = outcomeOf(eventType.id, event, known?.failedStep);
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

/** A client of FoundriesFactory reports the end of a rotation as a success whatever its steps came to. */
function outcomeOf(
  step: string,
  { success, details }: UpdateReport['event'],
  failedStep: string | undefined,
): Pick<UpdateReport['event'], 'success' | 'details'> {
  if (step !== ROTATION_COMPLETED || success === false || failedStep === undefined)
    return { success, details };
  return { success: false, details: `reported as a success, but "${failedStep}" had failed` };
}

/** Id of the document of a report's update. */
export function idOfUpdate({ account, deviceId }: Reporter, { event }: UpdateReport): string {
  return `${account}/${deviceId}/${event.correlationId}`;
}

/** The update of this event, as it stands with it. */
export function applyEvent(known: Update | undefined, told: UpdateEvent): Update {
  const { account, deviceId, updateId, target, version, event, receivedAt, success } = told;
  const { failedStep, ...before } = known ?? {
    id: `${account}/${deviceId}/${updateId}`,
    ...{ account, deviceId, updateId, startedAt: receivedAt },
    failedStep: undefined,
  };
  const failed = failedStepAfter(failedStep, told);
  return {
    ...before,
    target: target === '' ? (known?.target ?? '') : target,
    version: version === '' ? (known?.version ?? '') : version,
    ...{ lastEvent: event, lastAt: receivedAt },
    ...(success === undefined ? {} : { success }),
    ...(failed === undefined ? {} : { failedStep: failed }),
  };
}

/** A step that is done again, and succeeds, ends its failure; so does any later one, which comes after it alone. */
function failedStepAfter(
  failedStep: string | undefined,
  { event, success }: UpdateEvent,
): string | undefined {
  if (!ROTATION_STEPS.has(event) || event === ROTATION_COMPLETED || event === 'CertRotationStarted')
    return failedStep;
  return success === false ? event : success === true ? undefined : failedStep;
}

/** The step of a key rotation that it reports; undefined for events of other updates. */
export function rotationStepEvent({
  account,
  deviceId,
  updateId,
  event,
  success,
  details,
  receivedAt,
}: UpdateEvent): SignetEvent | undefined {
  if (!updateId.startsWith('certs-') && !ROTATION_STEPS.has(event)) return undefined;
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
