import { DeliverPolicy, type JetStreamClient, type StoredMsg } from '@nats-io/jetstream';
import { DEAD_STREAM, deadSubject } from '@signet/contracts';
import type { DeadLetter, DeadLetters } from '../bus.ts';
import { BusError } from '../bus-error.ts';
import type { ConsumerPlan } from '../consumer-plan.ts';
import { type DeadRecord, makeDeadRecord, readDeadRecord, toDeadLetter } from '../dead-record.ts';
import type { Decoded } from '../event-codec.ts';
import { ask } from './ask.ts';
import type { Link } from './link.ts';
import type { Publisher } from './publisher.ts';
import { retrySubject } from './streams.ts';

/** Most dead letters that one listing gives. */
const LISTED = 1000;

/** The stream of dead letters. An id is a sequence number of it. */
export class NatsDeadLetters implements DeadLetters {
  readonly #link: Link;
  readonly #publisher: Publisher;

  constructor(link: Link, publisher: Publisher) {
    this.#link = link;
    this.#publisher = publisher;
  }

  /** Resolves once it is stored. Storing it twice keeps one. */
  async store(
    plan: ConsumerPlan,
    decoded: Decoded,
    facts: {
      readonly error: string;
      readonly attempt: number;
      readonly sequence: number;
      readonly partition: number | undefined;
    },
  ): Promise<void> {
    await this.#publisher.store({
      subject: deadSubject(plan.durable),
      payload: JSON.stringify(makeDeadRecord(plan, decoded, facts)),
      msgID: `${plan.durable}:${facts.sequence}`,
    });
  }

  list(consumer?: string): Promise<readonly DeadLetter[]> {
    return ask(this.#link, ({ js }) => this.#read(js, consumer));
  }

  async #read(js: JetStreamClient, consumer: string | undefined): Promise<readonly DeadLetter[]> {
    const reader = await js.consumers.get(DEAD_STREAM, {
      filter_subjects: deadSubject(consumer ?? '*'),
      deliver_policy: DeliverPolicy.All,
    });
    const { num_pending: pending } = await reader.info();
    const letters: DeadLetter[] = [];
    const expected = Math.min(pending, LISTED);
    if (expected > 0) {
      for await (const message of await reader.fetch({ max_messages: expected, expires: 5000 })) {
        const record = readDeadRecord(message.string());
        if (record !== undefined) letters.push(toDeadLetter(String(message.seq), record));
      }
    }
    await reader.delete().catch(() => {});
    return letters;
  }

  async retry(id: string): Promise<void> {
    const { record, sequence } = await this.#find(id);
    await this.#publisher.store({
      subject: retrySubject(record.consumer, record.partition),
      payload: record.event === undefined ? (record.text ?? '') : JSON.stringify(record.event),
      msgID: `retry:${id}`,
    });
    await this.#delete(sequence);
  }

  async drop(id: string): Promise<void> {
    const { sequence } = await this.#find(id);
    await this.#delete(sequence);
  }

  async #delete(sequence: number): Promise<void> {
    await ask(this.#link, ({ jsm }) => jsm.streams.deleteMessage(DEAD_STREAM, sequence));
  }

  async #find(id: string): Promise<{ record: DeadRecord; sequence: number }> {
    const sequence = /^[1-9]\d{0,15}$/.test(id) ? Number(id) : undefined;
    const stored: StoredMsg | null =
      sequence === undefined
        ? null
        : await ask(this.#link, ({ jsm }) => jsm.streams.getMessage(DEAD_STREAM, { seq: sequence }));
    const record = stored === null ? undefined : readDeadRecord(stored.string());
    if (sequence === undefined || record === undefined) {
      throw new BusError('unknown-dead-letter', `there is no dead letter "${id}"`);
    }
    return { record, sequence };
  }
}
