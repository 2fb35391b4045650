import {
  AckPolicy,
  type ConsumerMessages,
  DeliverPolicy,
  type JsMsg,
  ReplayPolicy,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/nats-core';
import { EVENT_STREAM, eventFilter, PARTITIONS } from '@signet/contracts';
import type { Handler, Subscription } from '../bus.ts';
import type { ConsumerPlan } from '../consumer-plan.ts';
import { deliver } from '../delivery.ts';
import { type Decoded, decodeEvent } from '../event-codec.ts';
import type { Log } from '../log.ts';
import type { NatsDeadLetters } from './dead-letters.ts';
import type { Connected, Link } from './link.ts';
import { retrySubject } from './streams.ts';
import { supervise } from './supervise.ts';

/** Messages that the replicas of an unordered consumer hold at most, for each that one of them handles at a time. */
const HELD_FOR_EACH = 8;

export type ConsumeParts = {
  readonly link: Link;
  readonly deadLetters: NatsDeadLetters;
  readonly log: Log;
  /** After this long without a sign of life a message goes to another replica. A handler at work gives one each third. */
  readonly ackWaitMs: number;
};

/** A durable pull consumer, or one for each partition, shared by all replicas that give its name. */
export async function consume(
  parts: ConsumeParts,
  plan: ConsumerPlan,
  handler: Handler,
): Promise<Subscription> {
  const subscriptions = await Promise.all(
    partitionsOf(plan).map((partition) => consumePartition(parts, plan, handler, partition)),
  );
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(subscriptions.map((subscription) => subscription[Symbol.asyncDispose]()));
    },
  };
}

/** What a consumer is split into. */
export function partitionsOf({ ordered }: Pick<ConsumerPlan, 'ordered'>): readonly (number | undefined)[] {
  return ordered ? Array.from({ length: PARTITIONS }, (_, partition) => partition) : [undefined];
}

/** What the server knows it by. */
export function durableName(
  { durable }: Pick<ConsumerPlan, 'durable'>,
  partition: number | undefined,
): string {
  return partition === undefined ? durable : `${durable}-p${partition}`;
}

function consumePartition(
  parts: ConsumeParts,
  plan: ConsumerPlan,
  handler: Handler,
  partition: number | undefined,
): Promise<Subscription> {
  const work = new Work({ ...parts, partition }, plan, handler);
  return supervise(parts, `consumer ${plan.durable}`, {
    async start(connected, { signal, started }) {
      const messages = await openMessages(connected, parts, plan, partition);
      const stop = () => messages.stop();
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      started();
      try {
        for await (const message of messages) work.take(message);
      } finally {
        signal.removeEventListener('abort', stop);
      }
    },
    stop: () => work.finish(),
  });
}

async function openMessages(
  { jsm, js }: Connected,
  { ackWaitMs }: ConsumeParts,
  plan: ConsumerPlan,
  partition: number | undefined,
): Promise<ConsumerMessages> {
  const ofAccount = plan.account === undefined ? {} : { account: plan.account };
  const ofPartition = partition === undefined ? {} : { partition };
  const info = await jsm.consumers.add(EVENT_STREAM, {
    durable_name: durableName(plan, partition),
    filter_subjects: [
      ...plan.types.map((type) => eventFilter({ ...ofAccount, ...ofPartition, type })),
      retrySubject(plan.durable, partition),
    ],
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(ackWaitMs),
    ...(plan.since === undefined
      ? { deliver_policy: DeliverPolicy.All }
      : { deliver_policy: DeliverPolicy.StartTime, opt_start_time: plan.since }),
    replay_policy: ReplayPolicy.Instant,
    max_ack_pending: partition === undefined ? plan.concurrency * HELD_FOR_EACH : 1,
    max_deliver: -1,
  });
  return js.consumers.getConsumerFromInfo(info).consume({
    max_messages: partition === undefined ? plan.concurrency : 1,
    abort_on_missing_resource: true,
    expires: 30_000,
    idle_heartbeat: 5000,
  });
}

type WorkParts = ConsumeParts & { readonly partition: number | undefined };

/** The messages that this replica holds. Each is kept alive at the server until it is settled. */
class Work {
  readonly #parts: WorkParts;
  readonly #plan: ConsumerPlan;
  readonly #handler: Handler;
  readonly #held = new Set<JsMsg>();
  readonly #waiting: JsMsg[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #keepAlive: NodeJS.Timeout;
  #finishing = false;

  constructor(parts: WorkParts, plan: ConsumerPlan, handler: Handler) {
    this.#parts = parts;
    this.#plan = plan;
    this.#handler = handler;
    this.#keepAlive = setInterval(() => {
      for (const message of this.#held) message.working();
    }, parts.ackWaitMs / 3);
    this.#keepAlive.unref();
  }

  take(message: JsMsg): void {
    if (this.#finishing) {
      message.nak();
      return;
    }
    this.#held.add(message);
    this.#waiting.push(message);
    this.#next();
  }

  /** Gives back what waits, and resolves once all that runs is settled. */
  async finish(): Promise<void> {
    this.#finishing = true;
    for (const message of this.#waiting.splice(0)) message.nak();
    await Promise.all(this.#running);
    clearInterval(this.#keepAlive);
  }

  #next(): void {
    while (this.#running.size < this.#plan.concurrency) {
      const message = this.#waiting.shift();
      if (message === undefined) return;
      const run = this.#handle(message).finally(() => {
        this.#held.delete(message);
        this.#running.delete(run);
        this.#next();
      });
      this.#running.add(run);
    }
  }

  async #handle(message: JsMsg): Promise<void> {
    const { log } = this.#parts;
    const attempt = message.info.deliveryCount;
    const decoded = decodeEvent(message.string());
    const verdict = await deliver(this.#plan, decoded, attempt, this.#handler, log);
    if (verdict.verdict === 'acknowledge') message.ack();
    else if (verdict.verdict === 'again') message.nak(verdict.afterMs);
    else await this.#bury(message, decoded, { error: verdict.error, attempt });
  }

  async #bury(message: JsMsg, decoded: Decoded, facts: { error: string; attempt: number }): Promise<void> {
    const { deadLetters, log, link, partition } = this.#parts;
    try {
      await deadLetters.store(this.#plan, decoded, { ...facts, sequence: message.seq, partition });
      message.ack();
    } catch (err) {
      if (!link.closing.aborted)
        log.error({ err, sequence: message.seq }, 'a dead letter could not be stored');
      message.nak(1000);
    }
  }
}
