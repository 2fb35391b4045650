import type { Bus, Subscription } from '@signet/bus';
import { Account } from '@signet/contracts';
import { type Collection, put } from '@signet/store';
import { z } from 'zod';

/** What a service knows of an account that was ever suspended; of others it knows nothing, and they are active. */
export const AccountState = z.object({
  id: Account,
  state: z.enum(['active', 'suspended']),
  /** Of the event: what came before it changes nothing any more. */
  sequence: z.number().int(),
});
export type AccountState = z.infer<typeof AccountState>;
export type AccountStates = Collection<AccountState>;

/** Two hours at the longest backoff: for so long an event waits for the store before it is a dead letter. */
const maxDeliveries = 240;

/** Follows the states of accounts. Events may come twice and late: the latest of an account counts. */
export function followAccounts(
  bus: Pick<Bus, 'consume'>,
  service: string,
  states: Pick<AccountStates, 'insert' | 'update'>,
): Promise<Subscription> {
  return bus.consume(
    { durable: `${service}-accounts`, types: ['ACCOUNT_SUSPENDED', 'ACCOUNT_RESUMED'], maxDeliveries },
    async ({ type, account, sequence = 0 }) => {
      const state = type === 'ACCOUNT_SUSPENDED' ? 'suspended' : 'active';
      const document: AccountState = { id: account, state, sequence };
      await put(states, account, (known) =>
        known === undefined || known.sequence < sequence ? { document } : undefined,
      );
    },
  );
}
