import { Account, OnboardingHook, OnboardingNotification, type SignetEvent, Time } from '@signet/contracts';
import type { Change, Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** The hook of an account; its id is the account. */
export const HookRecord = OnboardingHook.omit({ account: true }).extend({ id: Account, secret: z.string() });
export type HookRecord = z.infer<typeof HookRecord>;

export const hookRecords = {
  name: 'bootstrap.hooks',
  schema: HookRecord,
  indexes: {},
} as const satisfies CollectionSpec<HookRecord>;
export type Hooks = Collection<HookRecord>;

/** One onboarding to be told of. Its id is the same for every event of that onboarding, so that there is one. */
export const NotificationRecord = OnboardingNotification.omit({ notificationId: true, nextAt: true }).extend({
  id: z.string(),
  /** The body, as it is sent each time. */
  body: z.string(),
  /** Unix ms; while it is due. */
  dueAt: z.number().optional(),
  /** Unix ms after which it is forgotten; once it is delivered or dead. */
  forgetAt: z.number().optional(),
  endedAt: Time.optional(),
});
export type NotificationRecord = z.infer<typeof NotificationRecord>;

export const notificationRecords = {
  name: 'bootstrap.notifications',
  schema: NotificationRecord,
  indexes: {
    byDue: { fields: ['dueAt'] },
    byAccount: { fields: ['account', 'state', 'id'] },
    byEnd: { fields: ['forgetAt'] },
  },
} as const satisfies CollectionSpec<NotificationRecord>;
export type Notifications = Collection<NotificationRecord, keyof typeof notificationRecords.indexes>;

/**
 * One attempt that somebody makes. Its id is that of the notification and the number of the attempt: of all replicas
 * that would make it one inserts it, on whatever store.
 */
export const AttemptRecord = z.object({ id: z.string(), until: z.number() });
export type AttemptRecord = z.infer<typeof AttemptRecord>;

export const attemptRecords = {
  name: 'bootstrap.hook-attempts',
  schema: AttemptRecord,
  indexes: { byEnd: { fields: ['until'] } },
} as const satisfies CollectionSpec<AttemptRecord>;
export type Attempts = Collection<AttemptRecord, keyof typeof attemptRecords.indexes>;

const DAY_MS = 86_400_000;
/** Longer than events are kept: one that is delivered again finds that it was told of. */
const KEPT_MS = 90 * DAY_MS;

/** What there is to tell of a device that was onboarded (Standard Webhooks). */
export function notificationOf(event: SignetEvent<'DEVICE_BOOTSTRAPPED'>, now: number): NotificationRecord {
  const { account, time, data } = event;
  const { onboarding, ...device } = data;
  return {
    id: onboarding ?? event.id,
    account,
    deviceId: data.deviceId,
    state: 'due',
    attempts: 0,
    onboardedAt: time,
    body: JSON.stringify({ type: 'device.onboarded', timestamp: time, data: { account, ...device } }),
    dueAt: now,
  };
}

/** After an attempt: `error` says why it failed. `backoffMs`: waits after failed ones; after the last it is dead. */
export function afterAttempt(
  record: NotificationRecord,
  result: { readonly error: string | undefined; readonly now: number; readonly backoffMs: readonly number[] },
): Change<NotificationRecord> | undefined {
  if (record.state !== 'due') return undefined;
  const { error, now, backoffMs } = result;
  const { dueAt: _dueAt, error: _error, ...rest } = record;
  const attempts = record.attempts + 1;
  const wait = backoffMs[record.attempts];
  if (error !== undefined && wait !== undefined)
    return { document: { ...rest, attempts, error, dueAt: now + wait } };
  const ended = { attempts, endedAt: new Date(now).toISOString(), forgetAt: now + KEPT_MS };
  if (error !== undefined) return { document: { ...rest, ...ended, state: 'dead', error } };
  return { document: { ...rest, ...ended, state: 'delivered', deliveredAt: ended.endedAt } };
}

/** A dead one, tried again with the same id. */
export function retryChange(record: NotificationRecord, now: number): Change<NotificationRecord> | undefined {
  if (record.state !== 'dead') return undefined;
  const { forgetAt: _forgetAt, endedAt: _endedAt, ...rest } = record;
  return { document: { ...rest, state: 'due', dueAt: now } };
}

/** As operators see it. */
export function notificationView({
  id,
  body: _body,
  dueAt,
  forgetAt: _forgetAt,
  endedAt: _endedAt,
  ...rest
}: NotificationRecord): z.infer<typeof OnboardingNotification> {
  const next = dueAt === undefined ? {} : { nextAt: new Date(dueAt).toISOString() };
  return { notificationId: id, ...rest, ...next };
}
