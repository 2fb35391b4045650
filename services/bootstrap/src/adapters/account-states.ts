import { AccountState } from '@signet/service';
import type { CollectionSpec } from '@signet/store';

/** The copy that this service has of the states of accounts, which `admin-api` keeps. */
export const accountStates = {
  name: 'bootstrap.account-states',
  schema: AccountState,
  indexes: {},
} as const satisfies CollectionSpec<AccountState>;
