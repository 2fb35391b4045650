import { randomBytes } from 'node:crypto';
import type * as operations from '@signet/contracts';
import type { SignetEvent } from '@signet/contracts';
import type { HookRecord } from '../../collections.ts';
import type { Context, InputOf } from '../../context.ts';
import { isDuplicate, put, readPage, viewsOf } from '../documents/documents.ts';
import { BootstrapError } from '../refusals/errors.ts';
import { notificationOf, notificationView, retryChange } from './notification.ts';

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
