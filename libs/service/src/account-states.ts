import type { Bus, Subscription } from '@signet/bus';
import { Account } from '@signet/contracts';
import { type Collection, put } from '@signet/store';
import { z } from 'zod';

/** What a service knows of an account that was ever suspended or deleted; of others it knows nothing, and they are active. */
export const AccountState = z.object({
  id: Account,
  state: z.enum(['active', 'suspended', 'deleted']),
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
    ({ type, account, sequence = 0 }) =>
      keepState(states, {
        id: account,
        state: type === 'ACCOUNT_SUSPENDED' ? 'suspended' : 'active',
        sequence,
      }),
  );
}

/** Notes a state, unless what is known of the account came after it. Deleted is final. */
export async function keepState(
  states: Pick<AccountStates, 'insert' | 'update'>,
  document: AccountState,
): Promise<void> {
  await put(states, document.id, (known) =>
    known === undefined || (known.state !== 'deleted' && known.sequence < document.sequence)
      ? { document }
      : undefined,
  );
}
