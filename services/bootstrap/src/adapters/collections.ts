import type { Store } from '@signet/store';
import { accountRecords } from '../domain/account/account-settings.ts';
import { blockRules } from '../domain/claim/block-rule.ts';
import { voidedAuthorities } from '../domain/claim/voided-authority.ts';
import { deviceRecords } from '../domain/device/device-record.ts';
import { attemptRecords, hookRecords, notificationRecords } from '../domain/hooks/notification.ts';
import { redirectRecords } from '../domain/redirect/redirect.ts';
import { accountStates } from './account-states.ts';

/** The collections of claims and handoffs. */
export async function openCollections(store: Store) {
  return {
    devices: await store.collection(deviceRecords),
    rules: await store.collection(blockRules),
    accounts: await store.collection(accountRecords),
    accountStates: await store.collection(accountStates),
    redirects: await store.collection(redirectRecords),
    voided: await store.collection(voidedAuthorities),
    hooks: await store.collection(hookRecords),
    notifications: await store.collection(notificationRecords),
    attempts: await store.collection(attemptRecords),
  };
}

export type Collections = Awaited<ReturnType<typeof openCollections>>;
