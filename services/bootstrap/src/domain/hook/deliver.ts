import { StoreError } from '@signet/store';
import type { Attempts, HookRecord, Hooks, NotificationRecord, Notifications } from '../../collections.ts';
import { afterAttempt } from './notification.ts';

/** Calls a hook; gives why it failed, or undefined where it took the notification. */
export type CallHook = (
  hook: HookRecord,
  notification: Pick<NotificationRecord, 'id' | 'body'>,
) => Promise<string | undefined>;

export type DeliverDeps = {
  readonly hooks: Pick<Hooks, 'get'>;
  readonly notifications: Pick<Notifications, 'find' | 'update' | 'remove'>;
  readonly attempts: Pick<Attempts, 'get' | 'insert' | 'remove'>;
  readonly call: CallHook;
  readonly backoffMs: readonly number[];
  /** How long one attempt may take at the most, ms. */
  readonly attemptMs: number;
  readonly now: () => number;
};

/** At a time, for all accounts and for one: a hook that hangs holds up its own account alone. */
const CONCURRENCY = 32;

const OF_ONE_ACCOUNT = 4;

const PAGE = 200;

const PAGES = 50;

export type Deliverer = AsyncDisposable & {
  /** Begins to send what is due; resolves when all of it was looked at, which is before it is all sent. */
  begin(): Promise<void>;
};

/** Sends notifications. Disposing waits for what is on its way. `onError` is told of what could not be noted. */
export function deliverer(deps: DeliverDeps, onError: (error: unknown) => void): Deliverer {
  const running = new Map<string, Promise<void>>();
  const busy = new Map<string, number>();
  const send = (notification: NotificationRecord): void => {
    const { id, account } = notification;
    busy.set(account, (busy.get(account) ?? 0) + 1);
    const run = deliverOne(deps, notification)
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
        const due = await deps.notifications.find({
          index: 'byDue',
          to: deps.now() + 1,
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

async function deliverOne(deps: DeliverDeps, notification: NotificationRecord): Promise<void> {
  const hook = await deps.hooks.get(notification.account);
  if (hook === undefined) return void (await deps.notifications.remove(notification.id));
  const attempt = `${notification.id}/${notification.attempts}`;
  if (!(await isOurs(deps, attempt, notification))) return;
  const error = await deps.call(hook, notification);
  await note(deps, notification, error);
  await deps.attempts.remove(attempt);
}

/** Of all that would make this attempt one does. One that was begun and never ended counts as failed. */
async function isOurs(deps: DeliverDeps, id: string, notification: NotificationRecord): Promise<boolean> {
  try {
    await deps.attempts.insert({ id, until: deps.now() + deps.attemptMs * 2 });
    return true;
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
    const begun = await deps.attempts.get(id);
    if (begun !== undefined && begun.until < deps.now()) {
      await note(deps, notification, 'the attempt was cut off');
      await deps.attempts.remove(id);
    }
    return false;
  }
}

async function note(
  deps: DeliverDeps,
  { id, attempts }: NotificationRecord,
  error: string | undefined,
): Promise<void> {
  const { backoffMs } = deps;
  await deps.notifications.update(id, (current) =>
    current.attempts === attempts ? afterAttempt(current, { error, now: deps.now(), backoffMs }) : undefined,
  );
}
