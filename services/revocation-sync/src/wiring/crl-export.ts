import type { ServiceDeps } from '@signet/service';
import { repeatedly } from '@signet/service';
import { exportCrls } from '../adapters/crl-export.ts';
import type { RevocationSyncConfig } from '../config.ts';

const MEGABYTE = 1_048_576;
const REFRESH_MS = 60_000;

/** Keeps the CRL file of brokers that are not ours, where one is configured: at each new CRL, and every minute. */
export async function openCrlExport(
  config: RevocationSyncConfig,
  { bus, log, health }: ServiceDeps,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const file = config.SIGNET_CRL_EXPORT_FILE;
  if (file !== undefined) {
    const options = {
      ...{ bus, log, file, url: config.SIGNET_CRL_EXPORT_URL },
      pidFile: config.SIGNET_CRL_EXPORT_PID_FILE,
      maxBytes: config.SIGNET_CRL_MAX_MEGABYTES * MEGABYTE,
    };
    const work = () => exportCrls(options).then(() => undefined);
    const failed = (error: unknown) => log.warn({ err: error, file }, 'CRL export: the file stays as it is');
    const exporting = stack.use(repeatedly(REFRESH_MS, work, failed));
    stack.use(
      await bus.tail({ types: ['CRL_PUBLISHED', 'CA_CREATED'], from: 'new' }, () => work().catch(failed)),
    );
    stack.use(
      health.register('revocation-sync.crl-export', () => {
        const failure = exporting.failure();
        return failure === undefined ? undefined : { warning: failure };
      }),
    );
  }
  const rest = stack.move();
  return { [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
