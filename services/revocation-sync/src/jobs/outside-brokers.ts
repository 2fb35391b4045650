import { type Repetition, repeatedly } from '@signet/service';
import type { Context } from '../context.ts';
import type { DeniedDevices } from '../domain/brokers/denied-devices.ts';
import { type ExportContext, exportCrls } from '../domain/brokers/export-crls.ts';

/** Work that goes on until it is disposed of. */
type Job = Pick<Repetition, 'failure'> & AsyncDisposable;

const CRL_FILE_MS = 60_000;
const MOSQUITTO_MS = 5000;
const CALLOUT_MS = 5000;

/** Keeps the CRL file of a broker that is not ours: every minute, and at each new CRL. */
export async function keepCrlFile(
  { bus, log }: Context,
  crlExport: ExportContext['crlExport'],
): Promise<Job> {
  const work = () => exportCrls({ bus, log, crlExport });
  const failed = (error: unknown) => log.warn({ err: error }, 'CRL export: the file stays as it is');
  return withTail(
    repeatedly(CRL_FILE_MS, work, failed),
    await bus.tail({ types: ['CRL_PUBLISHED', 'CA_CREATED'], from: 'new' }, () => work().catch(failed)),
  );
}

/** Keeps a mosquitto up to date on which devices are denied: every 5 s, and at each change of the deny list. */
export async function keepMosquitto({ bus, log }: Context, devices: DeniedDevices): Promise<Job> {
  const work = () => devices.catchUp();
  const failed = (error: unknown) =>
    log.warn({ err: error }, 'mosquitto: failed to tell it which devices are denied');
  return withTail(
    repeatedly(MOSQUITTO_MS, work, failed),
    await bus.tail({ types: ['DENYLIST_CHANGED'], from: 'new' }, () => void work().catch(failed)),
  );
}

/** Serves the auth callout of a NATS server, and tries again until it is connected. */
export function keepCallout({ log }: Context, serve: () => Promise<AsyncDisposable>): Job {
  let callout: AsyncDisposable | undefined;
  const serving = repeatedly(
    CALLOUT_MS,
    async () => {
      callout ??= await serve();
    },
    (error) => log.warn({ err: error }, 'NATS callout: failed to serve it'),
  );
  return {
    failure: () => serving.failure() ?? (callout === undefined ? 'not connected yet' : undefined),
    async [Symbol.asyncDispose]() {
      await serving[Symbol.asyncDispose]();
      await callout?.[Symbol.asyncDispose]();
    },
  };
}

function withTail(repetition: Repetition, tail: AsyncDisposable): Job {
  return {
    failure: () => repetition.failure(),
    async [Symbol.asyncDispose]() {
      await tail[Symbol.asyncDispose]();
      await repetition[Symbol.asyncDispose]();
    },
  };
}
