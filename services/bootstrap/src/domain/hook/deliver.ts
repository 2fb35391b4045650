import { isDuplicate, unchanged } from '@signet/store';
import type { HookRecord, NotificationRecord } from '../../collections.ts';
import type { Context } from '../../context.ts';
import { afterAttempt } from './hooks.ts';

export type DeliveryContext = Pick<Context, 'hooks' | 'notifications' | 'attempts' | 'now'> & {
  /** Calls a hook. @returns why it failed; undefined where it took the notification */
  readonly call: (
    hook: HookRecord,
    notification: Pick<NotificationRecord, 'id' | 'body'>,
  ) => Promise<string | undefined>;
  /** Waits after failed attempts; after the last the notification is given up. */
  readonly backoffMs: readonly number[];
  /** How long one attempt may take at the most, ms. */
  readonly attemptMs: number;
};

/** At a time, for all accounts and for one: a hook that hangs holds up its own account alone. */
const CONCURRENCY = 32;

const OF_ONE_ACCOUNT = 4;

const PAGE = 200;

const PAGES = 50;

export type Delivery = AsyncDisposable & {
  /** Begins to send what is due; resolves when all of it was looked at, which is before it is all sent. */
  begin(): Promise<void>;
};

/** Sends notifications. Disposing waits for deliveries in flight. `onError` receives what could not be recorded. */
export function openDelivery(ctx: DeliveryContext, onError: (error: unknown) => void): Delivery {
  const running = new Map<string, Promise<void>>();
  const busy = new Map<string, number>();
  const send = (notification: NotificationRecord): void => {
    const { id, account } = notification;
    busy.set(account, (busy.get(account) ?? 0) + 1);
    const run = deliverOne(ctx, notification)
      .catch(onError)
      .finally(() => {
        running.delete(id);
        const left = (busy.get(account) ?? 1) - 1;
        if (left === 0) busy.delete(account);
        else busy.set(account, left);
      });
    running.set(id, run);
  };
  return {
    async begin() {
      let cursor: string | undefined;
      for (let page = 0; page < PAGES; page++) {
        const due = await ctx.notifications.find({
          index: 'byDue',
          to: ctx.now() + 1,
          limit: PAGE,
          ...(cursor === undefined ? {} : { cursor }),
        });
        for (const notification of due.items) {
          const isBusy = (busy.get(notification.account) ?? 0) >= OF_ONE_ACCOUNT;
          if (isBusy || running.has(notification.id)) continue;
          if (running.size >= CONCURRENCY) return;
          send(notification);
        }
        cursor = due.next;
        if (cursor === undefined) return;
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(running.values());
    },
  };
}

async function deliverOne(ctx: DeliveryContext, notification: NotificationRecord): Promise<void> {
  const hook = await ctx.hooks.get(notification.account);
  if (hook === undefined) return void (await ctx.notifications.remove(notification.id));
  const attempt = `${notification.id}/${notification.attempts}`;
  if (!(await takeAttempt(ctx, attempt, notification))) return;
  const error = await ctx.call(hook, notification);
  await recordAttempt(ctx, notification, error);
  await ctx.attempts.remove(attempt);
}

/** Of all that would make this attempt one does. One that was begun and never ended counts as failed. */
async function takeAttempt(
  ctx: DeliveryContext,
  id: string,
  notification: NotificationRecord,
): Promise<boolean> {
  try {
    await ctx.attempts.insert({ id, until: ctx.now() + ctx.attemptMs * 2 });
    return true;
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    const begun = await ctx.attempts.get(id);
    if (begun !== undefined && begun.until < ctx.now()) {
      await recordAttempt(ctx, notification, 'the attempt was cut off');
      await ctx.attempts.remove(id);
    }
    return false;
  }
}

async function recordAttempt(
  ctx: DeliveryContext,
  { id, attempts }: NotificationRecord,
  error: string | undefined,
): Promise<void> {
  const { backoffMs } = ctx;
  await ctx.notifications.update(id, (current) =>
    current.attempts === attempts ? afterAttempt(current, { error, now: ctx.now(), backoffMs }) : undefined,
  );
}

const PURGE_PAGE = 500;

/** An attempt that was never ended has been noted as failed long before. */
const ATTEMPT_KEPT_MS = 86_400_000;

/** Removes notifications that ended long ago, and attempts that were cut off. */
export async function purgeNotifications({
  notifications,
  attempts,
  now,
}: Pick<Context, 'notifications' | 'attempts' | 'now'>): Promise<void> {
  for (const [collection, to] of [
    [notifications, now()],
    [attempts, now() - ATTEMPT_KEPT_MS],
  ] as const) {
    for (;;) {
      const { items } = await collection.find({ index: 'byEnd', to, limit: PURGE_PAGE });
      await Promise.all(items.map((read) => collection.remove(read.id, unchanged(read))));
      if (items.length < PURGE_PAGE) break;
    }
  }
}
