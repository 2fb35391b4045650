import type { Store } from '@signet/store';
import { accountRecords } from '../domain/account/account-settings.ts';
import { blockRules } from '../domain/claim/block-rule.ts';
import { deviceRecords } from '../domain/device/device-record.ts';
import { redirectRecords } from '../domain/redirect/redirect.ts';

/** The collections of claims and hand-overs. */
export async function openCollections(store: Store) {
  return {
    devices: await store.collection(deviceRecords),
    rules: await store.collection(blockRules),
    accounts: await store.collection(accountRecords),
    redirects: await store.collection(redirectRecords),
  };
}

export type Collections = Awaited<ReturnType<typeof openCollections>>;
