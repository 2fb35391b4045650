import type { Bus, Subscription } from '@signet/bus';
import type { Logger } from '@signet/service';
import { type Repetition, repeatedly } from '@signet/service';
import { abandon, isFinal, progress } from '../../domain/requests/transitions.ts';
import type { Requests } from './operators.ts';

type Deps = { bus: Bus; requests: Requests; now: () => number; log: Logger };

/** Two hours at the longest backoff: for so long an event waits for the store before it is a dead letter. */
const maxDeliveries = 240;
const SWEEP_EVERY_MS = 30_000;

/** What a device does after its hand-over tells of its progress too: its config applied, its first session. */
export function followDevices({ bus, requests, now }: Deps): Promise<Subscription> {
  return bus.consume(
    {
      durable: 'provisioning-requests',
      types: ['DEVICE_CONFIG_APPLIED', 'DEVICE_CONNECTED'],
      maxDeliveries,
    },
    async (event) => {
      const { id: appliedEvent, account, subject: deviceId, type, time, data } = event;
      const { items } = await requests.find({
        index: 'byDevice',
        equals: { account, deviceId },
        descending: true,
        limit: 1,
      });
      const [request] = items;
      if (request === undefined || isFinal(request)) return;
      const version = type === 'DEVICE_CONFIG_APPLIED' && 'version' in data ? data.version : undefined;
      await requests.update(
        request.id,
        (current) => {
          const { handedOverAt = '9', configVersion = Infinity } = current;
          if (time < handedOverAt) return undefined;
          if (type === 'DEVICE_CONNECTED') return progress(current, { state: 'COMPLETED', now: now() });
          const isApplied = version !== undefined && version >= configVersion;
          return isApplied ? progress(current, { state: 'CONF_UPDATED', now: now() }) : undefined;
        },
        { appliedEvent },
      );
    },
  );
}

/** Requests whose window has closed are ABANDONED, within half a minute. */
export function sweepWindows({ requests, now, log }: Omit<Deps, 'bus'>): Repetition {
  const sweep = async (): Promise<void> => {
    const to = new Date(now()).toISOString();
    for (;;) {
      const { items, next } = await requests.find({ index: 'byEnd', to, limit: 200 });
      for (const { id } of items) await requests.update(id, (current) => abandon(current, now()));
      if (next === undefined) return;
    }
  };
  return repeatedly(SWEEP_EVERY_MS, sweep, (error) =>
    log.warn({ err: error }, 'provisioning requests: windows not swept; tried again soon'),
  );
}
