import { parseEvent, partitionOf, type SignetEvent } from '@signet/contracts';
import { z } from 'zod';
import type { DeadLetter } from './bus.ts';
import type { ConsumerPlan } from './consumer-plan.ts';
import type { Decoded } from './event-codec.ts';
import { readJson } from './read-json.ts';

/** What is kept of an event that a consumer gave up on. `text` stands for a message that was no event. */
const DeadRecord = z.object({
  consumer: z.string(),
  event: z.unknown().optional(),
  text: z.string().optional(),
  /** The partition of an ordered consumer. */
  partition: z.number().int().min(0).optional(),
  error: z.string(),
  attempt: z.number().int(),
  at: z.iso.datetime(),
});
export type DeadRecord = z.infer<typeof DeadRecord>;

export function makeDeadRecord(
  plan: ConsumerPlan,
  decoded: Decoded,
  facts: { readonly error: string; readonly attempt: number; readonly partition: number | undefined },
): DeadRecord {
  const { event } = decoded;
  const partition = event === undefined ? facts.partition : partitionOf(event.account, event.subject);
  return {
    consumer: plan.durable,
    ...(event === undefined ? { text: decoded.text } : { event }),
    ...(plan.ordered && partition !== undefined ? { partition } : {}),
    error: facts.error,
    attempt: facts.attempt,
    at: new Date().toISOString(),
  };
}

export function readDeadRecord(text: string): DeadRecord | undefined {
  try {
    return DeadRecord.safeParse(readJson(text)).data;
  } catch {
    return undefined;
  }
}

export function toDeadLetter(id: string, record: DeadRecord): DeadLetter {
  const { consumer, error, at } = record;
  return { id, consumer, error, at, event: asEvent(record.event), text: record.text };
}

function asEvent(value: unknown): SignetEvent | undefined {
  try {
    return value === undefined ? undefined : parseEvent(value);
  } catch {
    return undefined;
  }
}
