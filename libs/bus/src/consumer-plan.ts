import type { Consumer } from './bus.ts';
import { BusError } from './bus-error.ts';

/** A consumer with its defaults filled in. */
export type ConsumerPlan = Required<Omit<Consumer, 'account' | 'since'>> &
  Pick<Consumer, 'account' | 'since'>;

/** @throws BusError `invalid-consumer` */
export function planConsumer(consumer: Consumer): ConsumerPlan {
  const plan: ConsumerPlan = {
    durable: consumer.durable,
    types: [...new Set(consumer.types)],
    ...(consumer.account === undefined ? {} : { account: consumer.account }),
    ...(consumer.since === undefined ? {} : { since: consumer.since }),
    ordered: consumer.ordered ?? false,
    concurrency: consumer.concurrency ?? 32,
    maxDeliveries: consumer.maxDeliveries ?? 10,
    backoffMs: consumer.backoffMs ?? [100, 500, 2000, 10_000, 30_000],
  };
  const refuse = (field: string, rule: string) =>
    new BusError('invalid-consumer', `${field} of consumer "${plan.durable}": ${rule}`);
  if (!/^[a-z0-9-]{1,64}$/.test(plan.durable))
    throw refuse('durable', 'must be [a-z0-9-], 1 to 64 characters');
  if (plan.types.length === 0) throw refuse('types', 'must name at least one event type');
  if (!Number.isInteger(plan.concurrency) || plan.concurrency < 1 || plan.concurrency > 256)
    throw refuse('concurrency', 'must be a whole number from 1 to 256');
  if (!Number.isInteger(plan.maxDeliveries) || plan.maxDeliveries < 1)
    throw refuse('maxDeliveries', 'must be a whole number from 1');
  if (plan.backoffMs.length === 0 || plan.backoffMs.some((ms) => !Number.isFinite(ms) || ms < 0))
    throw refuse('backoffMs', 'must have at least one wait, none negative');
  return plan;
}
