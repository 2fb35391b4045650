import { type Repetition, repeatedly } from '@signet/async';
import { callWebhook } from '@signet/service';
import type { BootstrapConfig } from '../config.ts';
import type { Context } from '../context.ts';
import { applyVoidedAuthorities } from '../domain/claim/voided-authorities.ts';
import { adoptSecondIdentities } from '../domain/device/second-identity.ts';
import { openDelivery, purgeNotifications } from '../domain/hook/deliver.ts';

const HOOK_DEADLINE_MS = 10_000;
const SECOND_MS = 1000;
const HOUR_MS = 3_600_000;

type Log = {
  warn(facts: object, message: string): void;
  info(facts: object, message: string): void;
};

/** What the clock sets off. Both jobs are woken too where there is something to do. */
export type Jobs = AsyncDisposable & {
  readonly notifications: Repetition;
  readonly voidedAuthorities: Repetition;
};

export function startJobs(
  config: Pick<BootstrapConfig, 'SIGNET_HOOK_RETRY_SECONDS' | 'SIGNET_OUTWARD_PRIVATE'>,
  log: Log,
  ctx: Omit<Context, 'wake'>,
): Jobs {
  const stack = new AsyncDisposableStack();
  const failed = (message: string) => (error: unknown) => log.warn({ err: error }, message);

  const notSent = failed('onboarding hooks: some notifications could not be sent');
  const webhook = { deadlineMs: HOOK_DEADLINE_MS, allowPrivate: config.SIGNET_OUTWARD_PRIVATE, now: ctx.now };
  const delivery = stack.use(
    openDelivery(
      {
        ...ctx,
        call: ({ url, secret }, { id, body }) => callWebhook({ ...webhook, url, secret, id, body }),
        backoffMs: config.SIGNET_HOOK_RETRY_SECONDS.map((seconds) => seconds * 1000),
        attemptMs: HOOK_DEADLINE_MS,
      },
      notSent,
    ),
  );
  const notifications = stack.use(
    repeatedly(() => delivery.begin(), { everyMs: SECOND_MS, onError: notSent }),
  );

  const voidedAuthorities = stack.use(
    repeatedly(() => applyVoidedAuthorities(ctx), {
      everyMs: SECOND_MS,
      onError: failed('voided factory CAs: some devices are not blocked yet'),
    }),
  );

  stack.use(
    repeatedly(() => purgeNotifications(ctx), {
      everyMs: HOUR_MS,
      onError: failed('onboarding hooks: old notifications could not be removed'),
    }),
  );

  // once, as soon as the CAs are known
  let isDone = false;
  const adoptOnce = async () => {
    const authorities = ctx.trust.authorities();
    if (isDone || authorities.length === 0) return;
    const count = await adoptSecondIdentities(ctx.devices, authorities);
    isDone = true;
    if (count > 0) log.info({ count }, 'second identities of earlier versions: assigned to their accounts');
  };
  stack.use(
    repeatedly(adoptOnce, {
      everyMs: SECOND_MS,
      onError: failed('second identities of earlier versions: some could not be checked'),
    }),
  );

  return { notifications, voidedAuthorities, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
