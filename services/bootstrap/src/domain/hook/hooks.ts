import { randomBytes } from 'node:crypto';
import type * as operations from '@signet/contracts';
import type { OnboardingNotification, SignetEvent } from '@signet/contracts';
import { type Change, isDuplicate } from '@signet/store';
import type { z } from 'zod';
import type { HookRecord, NotificationRecord } from '../../collections.ts';
import type { Context, InputOf } from '../../context.ts';
import { put, readPage, viewsOf } from '../documents/documents.ts';
import { BootstrapError } from '../refusals/errors.ts';

/** The onboarding hook of an account (F65), with a new secret. @throws BootstrapError `bad-url` */
export async function setHook(
  { hooks, whyUnfitUrl, now }: Pick<Context, 'hooks' | 'whyUnfitUrl' | 'now'>,
  { account, url, by }: InputOf<typeof operations.setHook>,
) {
  const why = whyUnfitUrl(url);
  if (why !== undefined) throw new BootstrapError('bad-url', `url: ${why}`, { field: 'url' });
  const secret = `whsec_${randomBytes(32).toString('base64')}`;
  const record: HookRecord = { id: account, url, secret, since: new Date(now()).toISOString(), by };
  await put(hooks, record);
  return { ...hookView(record), secret };
}

/** @throws BootstrapError `no-hook` */
export async function getHook(
  { hooks }: Pick<Context, 'hooks'>,
  { account }: InputOf<typeof operations.getHook>,
) {
  const record = await hooks.get(account);
  if (record === undefined) throw noHook(account);
  return hookView(record);
}

/** @throws BootstrapError `no-hook` */
export async function removeHook(
  { hooks }: Pick<Context, 'hooks'>,
  { account }: InputOf<typeof operations.removeHook>,
): Promise<Record<string, never>> {
  if (!(await hooks.remove(account))) throw noHook(account);
  return {};
}

export async function listNotifications(
  { notifications }: Pick<Context, 'notifications'>,
  { account, state, ...page }: InputOf<typeof operations.listNotifications>,
) {
  const query = { index: 'byAccount', equals: { account, state } } as const;
  return viewsOf(await readPage(notifications, query, page), notificationView);
}

/** Sends a notification again that was given up. @throws BootstrapError `unknown-notification` */
export async function retryNotification(
  { notifications, wake, now }: Pick<Context, 'notifications' | 'wake' | 'now'>,
  { account, notificationId }: InputOf<typeof operations.retryNotification>,
) {
  if ((await notifications.get(notificationId))?.account !== account) {
    const message = `notificationId: account "${account}" has no such notification`;
    throw new BootstrapError('unknown-notification', message, { field: 'notificationId' });
  }
  const record = await notifications.update(notificationId, (current) => retryChange(current, now()));
  wake.notifications();
  return notificationView(record);
}

/**
 * Records the notification of an onboarding, where the account has a hook. The same onboarding again, from whatever
 * replica or redelivery, finds the notification that there is.
 */
export async function recordNotification(
  { hooks, notifications, wake, now }: Pick<Context, 'hooks' | 'notifications' | 'wake' | 'now'>,
  event: SignetEvent<'DEVICE_BOOTSTRAPPED'>,
): Promise<void> {
  if ((await hooks.get(event.account)) === undefined) return;
  try {
    await notifications.insert(notificationOf(event, now()));
  } catch (error) {
    if (!isDuplicate(error)) throw error;
  }
  wake.notifications();
}

function noHook(account: string): BootstrapError {
  return new BootstrapError('no-hook', `account: "${account}" has no onboarding hook`);
}

function hookView({ id, url, since, by }: HookRecord) {
  return { account: id, url, since, by };
}

const DAY_MS = 86_400_000;

/** Longer than events are stored: one that is delivered again finds its notification. */
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
