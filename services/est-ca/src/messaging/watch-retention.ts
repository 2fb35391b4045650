import type { Logger } from '@signet/service';

const EVERY_MS = 3_600_000;

/** Purges every hour; replicas that started together do so apart. */
export function watchRetention(
  purge: () => Promise<Readonly<Record<string, number>>>,
  log: Logger,
): AsyncDisposable {
  let running: Promise<void> = Promise.resolve();
  const look = (): void => {
    running = purge().then(
      (purged) => {
        if (Object.values(purged).some((count) => count > 0)) log.info(purged, 'purged what is over');
      },
      (error: unknown) => log.warn({ err: error }, 'purge: could not be done; tried again in an hour'),
    );
    timer = setTimeout(look, EVERY_MS).unref();
  };
  let timer = setTimeout(look, EVERY_MS * Math.random()).unref();
  return {
    async [Symbol.asyncDispose]() {
      clearTimeout(timer);
      await running;
    },
  };
}
