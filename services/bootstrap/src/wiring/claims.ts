import type { ServiceDeps } from '@signet/service';
import { hookCaller } from '../adapters/call-hook.ts';
import type { Collections } from '../collections.ts';
import type { BootstrapConfig } from '../config.ts';
import { adoptSecondIdentities, type Pins } from '../domain/device/second-identity.ts';
import { deliverer } from '../domain/hook/deliver.ts';
import { serveAccounts } from '../messaging/accounts.ts';
import { serveBlockRules } from '../messaging/block-rules.ts';
import { serveClaimedInto } from '../messaging/claimed-into.ts';
import { serveDevices } from '../messaging/devices.ts';
import { forgetEnded } from '../messaging/forget-ended.ts';
import { serveHooks } from '../messaging/hooks.ts';
import { serveLifecycle } from '../messaging/lifecycle.ts';
import { followProgress } from '../messaging/progress.ts';
import { serveRedirects } from '../messaging/redirects.ts';
import { serveSecondIdentities } from '../messaging/second-identities.ts';
import { followAuthorities, type Told, tellDevices } from '../messaging/voided-authorities.ts';
import { keepWorking } from '../messaging/work.ts';

const HOOK_DEADLINE_MS = 10_000;

const LOOK_MS = 1000;

const FORGET_MS = 3_600_000;

/** Claims, the way of devices through their states, and what goes with onboarding: rules, settings, redirects, hooks. */
export async function openClaims(
  config: BootstrapConfig,
  { bus, log, now }: ServiceDeps,
  { pins, ...collections }: Collections & Pick<Told, 'factories'> & { readonly pins: Pins },
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const deps = { bus, ...collections, now };
  const backoffMs = config.SIGNET_HOOK_RETRY_SECONDS.map((seconds) => seconds * 1000);
  const allowPrivate = config.SIGNET_OUTWARD_PRIVATE;
  const call = hookCaller({ deadlineMs: HOOK_DEADLINE_MS, allowPrivate, now });
  const onHookError = (error: unknown) => log.warn({ err: error }, 'onboarding hooks: not all could be sent');
  const sender = stack.use(deliverer({ ...deps, call, backoffMs, attemptMs: HOOK_DEADLINE_MS }, onHookError));
  const hooks = stack.use(keepWorking(LOOK_MS, () => sender.begin(), onHookError));
  const voided = stack.use(
    keepWorking(
      LOOK_MS,
      () => tellDevices({ ...deps, refresh: pins.refresh }),
      (error) => log.warn({ err: error }, 'devices of a voided factory CA: not all are told'),
    ),
  );
  stack.use(
    keepWorking(
      FORGET_MS,
      () => forgetEnded(deps),
      (error) => log.warn({ err: error }, 'onboarding hooks: what ended long ago is not removed'),
    ),
  );
  let isDated = false;
  const dateBack = async () => {
    if (isDated || pins.authorities().length === 0) return;
    const count = await adoptSecondIdentities(deps.devices, pins.authorities());
    isDated = true;
    if (count > 0) log.info({ count }, 'second identities of earlier versions: taken for their accounts');
  };
  stack.use(
    keepWorking(LOOK_MS, dateBack, (error) =>
      log.warn({ err: error }, 'second identities of earlier versions: not all are looked at'),
    ),
  );
  for (const subscription of [
    ...(await serveDevices(deps)),
    ...(await serveClaimedInto(deps)),
    ...(await serveLifecycle(deps)),
    ...(await serveBlockRules({ ...deps, pins })),
    ...(await serveAccounts(deps)),
    ...(await serveRedirects({ ...deps, isOwn: ownAddress(config) })),
    ...(await serveHooks({ ...deps, allowPrivate, onDue: () => hooks.wake() })),
    await serveSecondIdentities({ ...deps, pins }),
    ...(await followProgress(deps)),
    await followAuthorities({ ...deps, onDue: () => voided.wake() }),
  ])
    stack.use(subscription);
  return stack.move();
}

/** Whether a URL is one that devices reach this very service by. */
export function ownAddress(config: Pick<BootstrapConfig, 'SIGNET_SERVER_NAMES' | 'SIGNET_BOOTSTRAP_PORT'>) {
  const names = new Set(config.SIGNET_SERVER_NAMES.map((name) => name.toLowerCase()));
  return (url: string): boolean => {
    const { hostname, port } = new URL(url);
    const isPort = Number(port === '' ? '443' : port) === config.SIGNET_BOOTSTRAP_PORT;
    return isPort && names.has(hostname.replace(/^\[|\]$/g, ''));
  };
}
