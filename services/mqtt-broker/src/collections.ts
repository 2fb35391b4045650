import type { Store } from '@signet/store';
import { accountPolicies } from './domain/account/account-policy.ts';

/** Every collection of this service. Sessions are in a store of their own: see `domain/session`. */
export async function openCollections(store: Store) {
  return { policies: await store.collection(accountPolicies) };
}

export type Collections = Awaited<ReturnType<typeof openCollections>>;
