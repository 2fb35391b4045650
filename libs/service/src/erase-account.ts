import type { Bus, Subscription } from '@signet/bus';
import type { SignetEvent } from '@signet/contracts';
import type { Query, Stored } from '@signet/store';
import { type AccountStates, keepState } from './account-states.ts';

/** Never given up: what is kept of a deleted account goes, however long the store is unavailable. */
const maxDeliveries = 1_000_000;
const PAGE = 200;

/** Documents of one account in one collection of a service. */
export type Erasure = (account: string) => Promise<number>;

type Erased<T extends Stored, I extends string> = {
  find(query: Query<T, I>): Promise<{ readonly items: readonly T[]; readonly next?: string }>;
  remove(id: string): Promise<boolean>;
};

/**
 * Removes the documents that an index whose first field is `account` has of an account, page by page; what was removed
 * by an earlier call is not found any more, so a call that was cut is simply repeated.
 */
export function eraseByIndex<T extends Stored & { readonly account?: string | undefined }, I extends string>(
  collection: Erased<T, I>,
  index: I,
): Erasure {
  return (account) => eraseFound(collection, { index, equals: { account } as unknown as Partial<T> });
}

/** The same for a collection whose ids are `<account>/…`. */
export function eraseById<T extends Stored, I extends string>(collection: Erased<T, I>): Erasure {
  return (account) => eraseFound(collection, { prefix: `${account}/` });
}

/** The same where the one document's id is the account. */
export function eraseOne<T extends Stored>(collection: Pick<Erased<T, never>, 'remove'>): Erasure {
  return async (account) => ((await collection.remove(account)) ? 1 : 0);
}

/** Removes what a query finds. @returns how many documents this call removed */
export async function eraseFound<T extends Stored, I extends string>(
  collection: Erased<T, I>,
  query: Query<T, I>,
): Promise<number> {
  let removed = 0;
  let cursor: string | undefined;
  do {
    const page = await collection.find({
      ...query,
      limit: PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    });
    const gone = await Promise.all(page.items.map(({ id }) => collection.remove(id)));
    removed += gone.filter(Boolean).length;
    cursor = page.next;
  } while (cursor !== undefined);
  return removed;
}

/**
 * Follows the deletion of accounts: notes it first, so that nothing new comes into the account, ends what must be ended
 * with an event of its own, and then erases, again and again until a round finds nothing. All of it may be repeated: a
 * process that was killed takes the event up again.
 */
export function followDeletions(
  bus: Pick<Bus, 'consume'>,
  service: string,
  parts: {
    readonly states?: Pick<AccountStates, 'insert' | 'update'>;
    /** What does more than to remove documents. */
    readonly end?: (event: SignetEvent<'ACCOUNT_DELETED'>) => Promise<void>;
    readonly erasures: readonly Erasure[];
  },
): Promise<Subscription> {
  return bus.consume(
    { durable: `${service}-deletions`, types: ['ACCOUNT_DELETED'], maxDeliveries },
    async (event) => {
      if (event.type !== 'ACCOUNT_DELETED') return;
      const { account, sequence = 0 } = event;
      if (parts.states !== undefined)
        await keepState(parts.states, { id: account, state: 'deleted', sequence });
      await parts.end?.(event as SignetEvent<'ACCOUNT_DELETED'>);
      for (let removed = 1; removed > 0; ) {
        removed = 0;
        for (const erase of parts.erasures) removed += await erase(account);
      }
    },
  );
}
