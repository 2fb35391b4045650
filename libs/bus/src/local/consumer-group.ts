import { PARTITIONS } from '@signet/contracts';
import type { Appended, SqliteDatabase } from '@signet/sqlite';
import type { Handler, Subscription } from '../bus.ts';
import { BusError } from '../bus-error.ts';
import type { ConsumerPlan } from '../consumer-plan.ts';
import type { Log } from '../log.ts';
import type { CursorCommitter } from './cursor-committer.ts';
import type { LogWriter } from './log-writer.ts';
import { PartitionConsumer } from './partition-consumer.ts';
import { PartitionState } from './partition-state.ts';

type Member = { readonly handler: Handler; readonly inFlight: Set<Promise<void>> };

/** All that consume under one durable name. They share its partitions; each event goes to one of them in turn. */
export class ConsumerGroup {
  readonly #plan: ConsumerPlan;
  readonly #partitions: readonly PartitionConsumer[];
  #members: Member[] = [];
  #started: Promise<unknown> | undefined;
  #ended: Promise<unknown> | undefined;

  constructor(
    { database, writer, cursors }: { database: SqliteDatabase; writer: LogWriter; cursors: CursorCommitter },
    plan: ConsumerPlan,
    log: Log,
  ) {
    this.#plan = plan;
    const parts = plan.ordered ? Array.from({ length: PARTITIONS }, (_, part) => part) : [-1];
    this.#partitions = parts.map(
      (part) =>
        new PartitionConsumer(
          new PartitionState(database, writer, plan.durable, part),
          cursors,
          plan,
          (event, delivery) => this.#dispatch(event, delivery),
          log,
        ),
    );
  }

  /** Set once the last member has left: resolves when nothing is in flight any more. The group is not used again. */
  get ended(): Promise<unknown> | undefined {
    return this.#ended;
  }

  /** @throws BusError `invalid-consumer` where another member declared it otherwise */
  async join(plan: ConsumerPlan, handler: Handler): Promise<Subscription> {
    if (JSON.stringify(plan) !== JSON.stringify(this.#plan)) {
      throw new BusError('invalid-consumer', `consumer "${plan.durable}" is in use with other settings`);
    }
    const member: Member = { handler, inFlight: new Set() };
    this.#members.push(member);
    this.#started ??= Promise.all(this.#partitions.map((partition) => partition.start()));
    await this.#started;
    return {
      [Symbol.asyncDispose]: async () => {
        this.#members = this.#members.filter((other) => other !== member);
        if (this.#members.length === 0) {
          this.#ended ??= Promise.all(this.#partitions.map((partition) => partition.stop()));
          await this.#ended;
        }
        await Promise.allSettled(member.inFlight);
      },
    };
  }

  /** To be called when the log has grown. */
  grown(appended: Appended): void {
    for (const partition of this.#partitions) partition.grown(appended);
  }

  revive(): void {
    for (const partition of this.#partitions) partition.revive();
  }

  async #dispatch(...args: Parameters<Handler>): Promise<void> {
    const member = this.#members.shift();
    if (member === undefined) throw new BusError('closed', 'the consumer is closed');
    this.#members.push(member);
    const run = member.handler(...args);
    member.inFlight.add(run);
    try {
      await run;
    } finally {
      member.inFlight.delete(run);
    }
  }
}
