import type { OnboardingNotification, SignetEvent } from '@signet/contracts';
import type { Change } from '@signet/store';
import type { z } from 'zod';
import type { NotificationRecord } from '../../collections.ts';

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
