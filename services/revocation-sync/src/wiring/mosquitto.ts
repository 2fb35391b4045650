import { repeatedly, type ServiceDeps } from '@signet/service';
import type { Ledger } from '../adapters/ledger.ts';
import { DeniedClients } from '../adapters/mosquitto/denied-clients.ts';
import type { RevocationSyncConfig } from '../config.ts';
import { type DenyState, entryOf } from '../domain/deny-state.ts';
import { type Collections, changeId } from '../domain/records.ts';

const LOOK_MS = 5000;
const PAGE = 1000;

/** Tells an existing mosquitto which devices of an account are denied, where one is configured: at once, and as it is. */
export async function openMosquitto(
  config: RevocationSyncConfig,
  deps: ServiceDeps & { readonly ledger: Ledger; readonly collections: Collections },
): Promise<AsyncDisposable> {
  const { bus, now, log, health, ledger, collections } = deps;
  await using stack = new AsyncDisposableStack();
  const { SIGNET_MOSQUITTO_URL: url, SIGNET_MOSQUITTO_ACCOUNT: account } = config;
  if (url !== undefined) {
    const clients = stack.use(new DeniedClients(url));
    const note = (state: Pick<DenyState, 'key' | 'target' | 'holds' | 'lifted'>) => {
      if (state.target.kind !== 'device' || state.target.account !== account) return;
      clients.set(state.target.deviceId, entryOf(state, Math.floor(now() / 1000))?.expiresAt);
    };
    /** Number of the last change that was gone through. */
    let seen: number | undefined;
    const follow = async (): Promise<void> => {
      if (seen === undefined || !(await reachesBackTo(collections, seen)))
        seen = await ledger.whileQuiet(async (number) => {
          clients.clear();
          for await (const entry of pages(collections.entries)) note(entry);
          return number;
        });
      for await (const change of pages(collections.changes, changeId(seen + 1))) {
        for (const state of change.states) note(state);
        seen = change.number;
      }
      await clients.bringUpToDate(Math.floor(now() / 1000));
    };
    let running = Promise.resolve();
    const inTurn = (): Promise<void> => {
      running = running.catch(() => undefined).then(follow);
      return running;
    };
    const failed = (error: unknown) => log.warn({ err: error }, 'mosquitto: cannot be told who is denied');
    const looking = stack.use(repeatedly(LOOK_MS, inTurn, failed));
    stack.use(
      await bus.tail({ types: ['DENYLIST_CHANGED'], from: 'new' }, () => void inTurn().catch(failed)),
    );
    stack.use(
      health.register('revocation-sync.mosquitto', () => {
        const failure = looking.failure();
        return failure === undefined ? undefined : { warning: failure };
      }),
    );
  }
  const rest = stack.move();
  return { [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

/** Whether the log still has what came after a change: what was trimmed is read from the entries. */
async function reachesBackTo({ changes }: Collections, number: number): Promise<boolean> {
  const { items } = await changes.find({ limit: 1 });
  return (items[0]?.number ?? 0) <= number + 1;
}

async function* pages<T extends { readonly id: string }>(
  collection: {
    find(query: { from?: string; limit: number; cursor?: string }): Promise<{
      readonly items: readonly T[];
      readonly next?: string;
    }>;
  },
  from?: string,
): AsyncGenerator<T> {
  let cursor: string | undefined;
  do {
    const page = await collection.find({
      limit: PAGE,
      ...(from === undefined ? {} : { from }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    yield* page.items;
    cursor = page.next;
  } while (cursor !== undefined);
}
