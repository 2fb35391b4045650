import type { SignetEvent } from '@signet/contracts';
import type { Handler } from './bus.ts';
import type { ConsumerPlan } from './consumer-plan.ts';
import type { Decoded } from './event-codec.ts';
import type { Log } from './log.ts';
import { underTrace } from './trace-context.ts';

/** What is to become of a delivered message. */
export type Verdict =
  | { readonly verdict: 'acknowledge' }
  | { readonly verdict: 'again'; readonly afterMs: number }
  | { readonly verdict: 'dead'; readonly error: string };

/**
 * One try. `attempt` counts from 1 and also counts tries that a crash cut short: a message that kills its consumer
 * each time ends in the dead letters as well.
 */
export async function deliver(
  plan: ConsumerPlan,
  decoded: Decoded,
  attempt: number,
  handler: Handler,
  log: Log,
): Promise<Verdict> {
  if (decoded.event === undefined) return { verdict: 'dead', error: decoded.problem };
  if (attempt > plan.maxDeliveries) {
    return { verdict: 'dead', error: `not acknowledged within ${plan.maxDeliveries} deliveries` };
  }
  const event: SignetEvent = decoded.event;
  try {
    await underTrace(event.traceparent, () => handler(event, { attempt }));
    return { verdict: 'acknowledge' };
  } catch (error) {
    const facts = { consumer: plan.durable, event: event.id, type: event.type, attempt, err: error };
    if (attempt < plan.maxDeliveries) {
      const afterMs = plan.backoffMs[Math.min(attempt, plan.backoffMs.length) - 1] ?? 0;
      log.warn({ ...facts, afterMs }, 'an event could not be handled; it will be tried again');
      return { verdict: 'again', afterMs };
    }
    log.error(facts, 'an event could not be handled; it goes to the dead letters');
    return { verdict: 'dead', error: error instanceof Error ? error.message : String(error) };
  }
}
