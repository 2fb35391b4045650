import type { Bus, Subscription } from '@signet/bus';
import { listUpdateEvents, listUpdates } from '@signet/contracts';
import { type Logger, type Repetition, repeatedly } from '@signet/service';
import { unchanged } from '@signet/store';
import type { UpdateStore } from './reports.ts';

const SWEEP_EVERY_MS = 3_600_000;
/** What devices report is kept for so long. */
const KEPT_MS = 180 * 86_400_000;

type Deps = {
  readonly bus: Bus;
  readonly store: UpdateStore;
  readonly now: () => number;
  readonly log: Logger;
};

/** What operators see of updates (F40). */
export async function serveUpdates({ bus, store }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(listUpdates, async ({ account, deviceId, limit, cursor }) => {
      const page = await store.updates.find({
        ...{ index: 'byDevice', equals: { account, deviceId }, descending: true, limit },
        ...(cursor === undefined ? {} : { cursor }),
      });
      return {
        items: page.items.map(
          ({ id: _id, account: _account, deviceId: _device, failedStep: _failed, ...shown }) => shown,
        ),
        ...(page.next === undefined ? {} : { next: page.next }),
      };
    }),
    await bus.serve(listUpdateEvents, async ({ account, deviceId, updateId, limit, cursor }) => {
      const page = await store.events.find({
        ...{ index: 'byUpdate', equals: { account, deviceId, updateId }, limit },
        ...(cursor === undefined ? {} : { cursor }),
      });
      return {
        items: page.items.map(({ id: _i, account: _a, deviceId: _d, order: _o, ...shown }) => shown),
        ...(page.next === undefined ? {} : { next: page.next }),
      };
    }),
  ];
}

/** Takes away what is old. */
export function sweepUpdates({ store, now, log }: Omit<Deps, 'bus'>): Repetition {
  const sweep = async (): Promise<void> => {
    const to = new Date(now() - KEPT_MS).toISOString();
    for (;;) {
      const [events, updates] = await Promise.all([
        store.events.find({ index: 'byAge', to, limit: 500 }),
        store.updates.find({ index: 'byAge', to, limit: 500 }),
      ]);
      for (const { id } of events.items) await store.events.remove(id);
      // one of which the device reports again stays
      for (const read of updates.items) await store.updates.remove(read.id, unchanged(read));
      if (events.next === undefined && updates.next === undefined) return;
    }
  };
  return repeatedly(SWEEP_EVERY_MS, sweep, (error) =>
    log.warn({ err: error }, 'update events: old ones not removed; tried again later'),
  );
}
