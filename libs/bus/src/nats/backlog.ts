import {
  type ConsumerInfo,
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
} from '@nats-io/jetstream';
import { DEAD_STREAM, deadSubject, EVENT_STREAM, eventFilter } from '@signet/contracts';
import type { EventsSince } from '../bus.ts';
import type { ConsumerPlan } from '../consumer-plan.ts';
import { durableName, partitionsOf } from './consume.ts';

/** Events that a consumer has not settled. */
export async function backlog(jsm: JetStreamManager, plan: ConsumerPlan): Promise<number> {
  const infos = await Promise.all(
    partitionsOf(plan).map((partition) =>
      ifThere<ConsumerInfo>(jsm.consumers.info(EVENT_STREAM, durableName(plan, partition))),
    ),
  );
  return infos.reduce((sum, info) => sum + (info?.num_pending ?? 0) + (info?.num_ack_pending ?? 0), 0);
}

/** Events of one account after a position. */
export async function countSince(
  js: JetStreamClient,
  { types, account, after }: EventsSince,
): Promise<number> {
  const reader = await js.consumers.get(EVENT_STREAM, {
    filter_subjects: types.map((type) => eventFilter({ type, account })),
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: after + 1,
  });
  const { num_pending } = await reader.info();
  await reader.delete().catch(() => {});
  return num_pending;
}

/** Removes a consumer from the server, and what it gave up on. */
export async function deleteConsumer(
  jsm: JetStreamManager,
  plan: Pick<ConsumerPlan, 'durable' | 'ordered'>,
): Promise<void> {
  for (const partition of partitionsOf(plan))
    await ifThere(jsm.consumers.delete(EVENT_STREAM, durableName(plan, partition)));
  await jsm.streams.purge(DEAD_STREAM, { filter: deadSubject(plan.durable) });
}

async function ifThere<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound)
      return undefined;
    throw error;
  }
}
