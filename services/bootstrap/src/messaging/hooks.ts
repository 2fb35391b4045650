import { randomBytes } from 'node:crypto';
import type { Bus, Subscription } from '@signet/bus';
import {
  getHook,
  listNotifications,
  removeHook,
  retryNotification,
  type SignetEvent,
  setHook,
} from '@signet/contracts';
import { unfitUrl } from '@signet/service';
import { StoreError } from '@signet/store';
import type { HookRecord, Hooks, Notifications } from '../collections.ts';
import { BootstrapError } from '../domain/errors.ts';
import { notificationOf, notificationView, retryChange } from '../domain/hook/notification.ts';
import { asOperationError } from './operation-errors.ts';

type Deps = {
  bus: Bus;
  hooks: Hooks;
  notifications: Notifications;
  allowPrivate: boolean;
  /** There is a notification to send. */
  onDue: () => void;
  now: () => number;
};

/** Two hours at the longest backoff: for so long an event waits for the store before it is a dead letter. */
const maxDeliveries = 240;

/** Onboarding hooks: what operators set, and what becomes of each onboarding (F65). */
export async function serveHooks(deps: Deps): Promise<Subscription[]> {
  const { bus, hooks, notifications, now } = deps;
  return [
    await bus.serve(setHook, async ({ account, url, by }) => {
      const why = unfitUrl(url, deps.allowPrivate);
      if (why !== undefined) throw asOperationError(new BootstrapError('bad-url', `url: ${why}`, 'url'));
      const secret = `whsec_${randomBytes(32).toString('base64')}`;
      const record: HookRecord = { id: account, url, secret, since: new Date(now()).toISOString(), by };
      await hooks.insert(record).catch((error: unknown) => {
        if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
        return hooks.update(account, () => ({ document: record }));
      });
      return { ...viewOf(record), secret };
    }),
    await bus.serve(getHook, async ({ account }) => viewOf(await known(hooks, account))),
    await bus.serve(removeHook, async ({ account }) => {
      if (!(await hooks.remove(account))) throw noHook(account);
      return {};
    }),
    await bus.serve(listNotifications, async ({ account, state, cursor, limit }) => {
      const page = await notifications.find({
        index: 'byAccount',
        equals: { account, state },
        limit,
        ...(cursor === undefined ? {} : { cursor }),
      });
      const items = page.items.map(notificationView);
      return { items, ...(page.next === undefined ? {} : { next: page.next }) };
    }),
    await bus.serve(retryNotification, async ({ account, notificationId }) => {
      if ((await notifications.get(notificationId))?.account !== account) throw unknown(account);
      const record = await notifications.update(notificationId, (current) => retryChange(current, now()));
      deps.onDue();
      return notificationView(record);
    }),
    await bus.consume(
      { durable: 'bootstrap-hooks', types: ['DEVICE_BOOTSTRAPPED'], maxDeliveries },
      async (event) => {
        if (event.type === 'DEVICE_BOOTSTRAPPED') await remember(deps, event);
      },
    ),
  ];
}

/** The same onboarding again, from whatever replica or redelivery, finds the notification that there is. */
async function remember(deps: Deps, event: SignetEvent<'DEVICE_BOOTSTRAPPED'>): Promise<void> {
  if ((await deps.hooks.get(event.account)) === undefined) return;
  await deps.notifications.insert(notificationOf(event, deps.now())).catch((error: unknown) => {
    if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
  });
  deps.onDue();
}

async function known(hooks: Hooks, account: string): Promise<HookRecord> {
  const record = await hooks.get(account);
  if (record !== undefined) return record;
  throw noHook(account);
}

function noHook(account: string) {
  return asOperationError(new BootstrapError('no-hook', `account: "${account}" has no onboarding hook`));
}

function unknown(account: string) {
  const message = `notificationId: account "${account}" has no such notification`;
  return asOperationError(new BootstrapError('unknown-notification', message, 'notificationId'));
}

function viewOf({ id, url, since, by }: HookRecord) {
  return { account: id, url, since, by };
}
