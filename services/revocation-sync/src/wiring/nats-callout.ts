import { openConfiguredAdmission, repeatedly, type ServiceDeps } from '@signet/service';
import { serveNatsCallout } from '../adapters/nats-callout.ts';
import type { RevocationSyncConfig } from '../config.ts';

const RETRY_MS = 5000;

/** Decides for NATS' own MQTT listener, where that is configured. */
export async function openNatsCallout(
  config: RevocationSyncConfig,
  deps: ServiceDeps,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const { SIGNET_NATS_CALLOUT_URL: url, SIGNET_NATS_CALLOUT_SEED: seed } = config;
  if (url !== undefined && seed !== undefined) {
    const admission = stack.use(await openConfiguredAdmission(config, deps));
    let callout: AsyncDisposable | undefined;
    stack.defer(async () => callout?.[Symbol.asyncDispose]());
    const serving = stack.use(
      repeatedly(
        RETRY_MS,
        async () => {
          callout ??= await serveNatsCallout({
            ...{ admission, url, seed, now: deps.now, log: deps.log },
            systemUrl: config.SIGNET_NATS_CALLOUT_SYSTEM_URL,
            account: config.SIGNET_NATS_CALLOUT_ACCOUNT,
            maxSessionMs: config.SIGNET_NATS_CALLOUT_SESSION_SECONDS * 1000,
          });
        },
        (error) => deps.log.warn({ err: error }, 'NATS callout: cannot be served'),
      ),
    );
    stack.use(
      deps.health.register(
        'revocation-sync.nats-callout',
        () => serving.failure() ?? (callout === undefined ? 'not connected yet' : undefined),
      ),
    );
  }
  const rest = stack.move();
  return { [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
