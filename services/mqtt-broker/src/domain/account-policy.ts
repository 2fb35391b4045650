import { Account, type MqttPolicy, MqttPolicy as Policy } from '@signet/contracts';
import type { CollectionSpec } from '@signet/store';
import type { z } from 'zod';

/** What an account wants of the broker; its id is the account. */
export const AccountPolicy = Policy.extend({ id: Account });
export type AccountPolicy = z.infer<typeof AccountPolicy>;

export const accountPolicies = {
  name: 'mqtt-broker.policies',
  schema: AccountPolicy,
  indexes: {},
} as const satisfies CollectionSpec<AccountPolicy>;

/** What holds for an account now; asked for each connection and message, so it is in memory. */
export type PolicyOf = (account: string) => MqttPolicy;
