import { type Repetition, repeatedly } from '@signet/async';
import { appendedBy, type SqliteDatabase } from '@signet/sqlite';
import type { Handler, Subscription } from '../bus.ts';
import type { ConsumerPlan } from '../consumer-plan.ts';
import type { Log } from '../log.ts';
import { ConsumerGroup } from './consumer-group.ts';
import { CursorCommitter } from './cursor-committer.ts';
import { LocalDeadLetters } from './dead-letters.ts';
import { DownlinkQueue } from './downlink-queue.ts';
import { Listeners } from './listeners.ts';
import { LogWriter } from './log-writer.ts';
import { Operations } from './operations.ts';
import { fullness, type LocalLimits, removals } from './retention.ts';
import type { Tail } from './tail.ts';

const RETENTION_EVERY_MS = 10_000;

/** What all replicas of a local bus share. */
export class LocalBroker implements AsyncDisposable {
  readonly database: SqliteDatabase;
  readonly limits: LocalLimits;
  readonly log: Log;
  readonly writer: LogWriter;
  readonly cursors: CursorCommitter;
  readonly operations: Operations;
  readonly listeners: Listeners;
  readonly down: DownlinkQueue;
  readonly deadLetters: LocalDeadLetters;
  readonly #groups = new Map<string, ConsumerGroup>();
  readonly #tails = new Set<Tail>();
  readonly #unlisten: () => void;
  readonly #retention: Repetition;

  constructor(database: SqliteDatabase, limits: LocalLimits, log: Log) {
    this.database = database;
    this.limits = limits;
    this.log = log;
    this.writer = new LogWriter(database, log);
    this.cursors = new CursorCommitter(this.writer, log);
    this.operations = new Operations(log);
    this.listeners = new Listeners(log);
    this.down = new DownlinkQueue(database, this.writer, log);
    this.deadLetters = new LocalDeadLetters(database, this.writer, (durable) =>
      this.#groups.get(durable)?.revive(),
    );
    this.#unlisten = database.onCommit((units) => {
      const appended = appendedBy(units);
      if (appended === undefined) return;
      for (const group of this.#groups.values()) group.grown(appended);
      for (const tail of this.#tails) tail.grown(appended);
    });
    this.#retention = repeatedly(() => this.#removeOld(), {
      everyMs: RETENTION_EVERY_MS,
      first: 'after-wait',
      onError: (err) => log.warn({ err }, 'what is too old could not be removed'),
    });
  }

  async join(plan: ConsumerPlan, handler: Handler): Promise<Subscription> {
    for (let last = this.#groups.get(plan.durable); last?.ended; last = this.#groups.get(plan.durable)) {
      await last.ended;
      if (this.#groups.get(plan.durable) === last) this.#groups.delete(plan.durable);
    }
    const group = this.#groups.get(plan.durable) ?? new ConsumerGroup(this, plan, this.log);
    this.#groups.set(plan.durable, group);
    return group.join(plan, handler);
  }

  follow(tail: Tail): Subscription {
    this.#tails.add(tail);
    tail.pump();
    return {
      [Symbol.asyncDispose]: async () => {
        this.#tails.delete(tail);
        await tail[Symbol.asyncDispose]();
      },
    };
  }

  failure(): string | undefined {
    try {
      return this.writer.failure() ?? fullness(this.database, this.limits);
    } catch (error) {
      return `the event log cannot be read: ${String(error)}`;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#retention[Symbol.asyncDispose]();
    this.#unlisten();
    this.writer.close();
  }

  #removeOld(): void {
    this.writer
      .write(removals(this.limits, Date.now()))
      .catch((err) => this.log.warn({ err }, 'old events could not be removed'));
  }
}
