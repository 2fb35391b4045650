import {
  Account,
  defaultMqttPolicy,
  type MqttPolicy,
  newEvent,
  MqttPolicy as Policy,
} from '@signet/contracts';
import { type Collection, type CollectionSpec, isDuplicate } from '@signet/store';
import type { z } from 'zod';

/** What an account wants of the broker; its id is the account. */
export const AccountPolicy = Policy.extend({ id: Account });
export type AccountPolicy = z.infer<typeof AccountPolicy>;

export const accountPolicies = {
  name: 'mqtt-broker.policies',
  schema: AccountPolicy,
  indexes: {},
} as const satisfies CollectionSpec<AccountPolicy>;

/** The policy of an account now; asked for each connection and message, so it is in memory. */
export type PolicyOf = (account: string) => MqttPolicy;

export type PolicyChange = {
  readonly account: string;
  /** Fields that are absent or undefined stay as they are. */
  readonly change: { readonly [Field in keyof MqttPolicy]?: MqttPolicy[Field] | undefined };
  /** The operator. */
  readonly by: string;
};

/** Changes the policy of an account, with its event in the same write. @returns the policy now */
export async function changePolicy(
  ctx: { readonly policies: Collection<AccountPolicy>; readonly now: () => number },
  { account, change, by }: PolicyChange,
): Promise<MqttPolicy> {
  const time = ctx.now();
  const fields = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
  const changed = (current: MqttPolicy) => {
    const policy = Policy.parse({ ...current, ...fields });
    const event = newEvent('MQTT_POLICY_CHANGED', { account, subject: account, data: { policy, by }, time });
    return { document: { ...policy, id: account }, events: [event] };
  };
  const { document, events } = changed(defaultMqttPolicy);
  try {
    await ctx.policies.insert(document, events);
    return Policy.parse(document);
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    return Policy.parse(await ctx.policies.update(account, changed));
  }
}
