import type { Store } from '@signet/store';
import { accountRecords } from './domain/account/account.ts';
import { auditEntries } from './domain/audit/audit-log.ts';
import { budgetFates, budgetUses } from './domain/budget/count-budget.ts';
import { deviceActivities } from './domain/device/device-activity.ts';
import { refusalRecords } from './domain/device/refusal-record.ts';
import { keptAnswers } from './domain/idempotency/answer-once.ts';
import { queuePositions } from './domain/queue/pull.ts';
import { endedQueues, queueRecords, queueStates } from './domain/queue/queue-record.ts';
import { apiTokens } from './domain/token/api-token.ts';

export type Collections = Awaited<ReturnType<typeof openCollections>>;

/** Every collection of this service. */
export async function openCollections(store: Store) {
  return {
    accounts: await store.collection(accountRecords),
    tokens: await store.collection(apiTokens),
    audit: await store.collection(auditEntries),
    activities: await store.collection(deviceActivities),
    refusals: await store.collection(refusalRecords),
    budgetUses: await store.collection(budgetUses),
    budgetFates: await store.collection(budgetFates),
    answers: await store.collection(keptAnswers),
    queues: await store.collection(queueRecords),
    endedQueues: await store.collection(endedQueues),
    queuePositions: await store.collection(queuePositions),
    queueStates: await store.collection(queueStates),
  };
}
