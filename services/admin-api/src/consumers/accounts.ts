import type { Bus, Subscription } from '@signet/bus';
import { eraseById, eraseByIndex, followDeletions } from '@signet/service';
import type { Collection } from '@signet/store';
import type { DeviceActivity } from '../domain/device/device-activity.ts';
import type { RefusalRecord } from '../domain/device/refusal-record.ts';
import { QueueError } from '../domain/queue/queue-record.ts';
import { deleteQueue, listQueues, type QueueDeps } from '../domain/queue/queues.ts';
import type { ApiToken } from '../domain/token/api-token.ts';

type Deps = {
  readonly bus: Pick<Bus, 'consume'>;
  readonly tokens: Pick<Collection<ApiToken>, 'find' | 'update' | 'remove'>;
  readonly activities: Pick<Collection<DeviceActivity>, 'find' | 'remove'>;
  readonly refusals: Pick<Collection<RefusalRecord, 'byAccount'>, 'find' | 'remove'>;
  readonly queues: QueueDeps;
};

/** Removes what this service has of a deleted account: queues, roles of tokens, what is shown of devices. The audit stays. */
export function eraseDeletedAccounts({
  bus,
  tokens,
  activities,
  refusals,
  queues,
}: Deps): Promise<Subscription> {
  return followDeletions(bus, 'admin-api', {
    erasures: [
      (account) => endQueues(queues, account),
      (account) => endRoles(tokens, account),
      eraseById(activities),
      eraseByIndex(refusals, 'byAccount'),
    ],
  });
}

async function endQueues(deps: QueueDeps, account: string): Promise<number> {
  const queues = await listQueues(deps, account);
  for (const { name } of queues)
    await deleteQueue(deps, account, name).catch((error: unknown) => {
      // another replica was faster
      if (!(error instanceof QueueError && error.code === 'unknown-queue')) throw error;
    });
  return queues.length;
}

/** A token that has a role elsewhere too keeps that; others are gone. */
async function endRoles(tokens: Deps['tokens'], account: string): Promise<number> {
  let ended = 0;
  let cursor: string | undefined;
  do {
    const page = await tokens.find({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) });
    for (const { id, grants } of page.items) {
      if (!grants.some((grant) => grant.account === account)) continue;
      ended++;
      const isGone = await tokens.remove(id, (current) => current.grants.every((g) => g.account === account));
      if (isGone) continue;
      await tokens.update(id, (current) => {
        const left = current.grants.filter((grant) => grant.account !== account);
        return left.length === current.grants.length || left.length === 0
          ? undefined
          : { document: { ...current, grants: left } };
      });
    }
    cursor = page.next;
  } while (cursor !== undefined);
  return ended;
}
