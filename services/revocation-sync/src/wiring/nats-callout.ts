import { openConfiguredDoor, type ServiceDeps } from '@signet/service';
import { serveNatsCallout } from '../adapters/nats-callout.ts';
import type { RevocationSyncConfig } from '../config.ts';

/** Decides for NATS' own MQTT listener, where that is configured. */
export async function openNatsCallout(
  config: RevocationSyncConfig,
  deps: ServiceDeps,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const { SIGNET_NATS_CALLOUT_URL: url, SIGNET_NATS_CALLOUT_SEED: seed } = config;
  if (url !== undefined && seed !== undefined) {
    const door = stack.use(await openConfiguredDoor(config, deps));
    const serving = serveNatsCallout({
      ...{ door, url, seed, now: deps.now, log: deps.log },
      systemUrl: config.SIGNET_NATS_CALLOUT_SYSTEM_URL,
      account: config.SIGNET_NATS_CALLOUT_ACCOUNT,
      maxSessionMs: config.SIGNET_NATS_CALLOUT_SESSION_SECONDS * 1000,
    });
    let failure: string | undefined = 'not connected yet';
    stack.use(deps.health.register('revocation-sync.nats-callout', () => failure));
    const served = serving.then(
      (callout) => {
        failure = undefined;
        return callout;
      },
      (error: unknown) => {
        failure = error instanceof Error ? error.message : String(error);
        deps.log.error({ err: error }, 'NATS callout: cannot be served');
      },
    );
    stack.defer(async () => (await served)?.[Symbol.asyncDispose]());
  }
  const rest = stack.move();
  return { [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
