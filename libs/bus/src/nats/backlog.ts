import {
  type ConsumerInfo,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
} from '@nats-io/jetstream';
import { DEAD_STREAM, deadSubject, EVENT_STREAM } from '@signet/contracts';
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

/** Removes a consumer from the server, and what it gave up on. */
export async function forgetConsumer(
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
