import type { Appended } from '@signet/sqlite';
import type { Handler } from '../bus.ts';
import type { ConsumerPlan } from '../consumer-plan.ts';
import { makeDeadRecord } from '../dead-record.ts';
import { deliver, type Verdict } from '../delivery.ts';
import { decodeEvent } from '../event-codec.ts';
import type { Log } from '../log.ts';
import type { CursorCommitter } from './cursor-committer.ts';
import type { LogEntry, PartitionState, Retry } from './partition-state.ts';

/** Events that wait for another try, of one unordered consumer. */
const MAX_RETRIES = 256;

/** How often a consumer lets the log grow by what is not for it, before it passes over that. */
const PASSED_OVER = 256;

type Job =
  | { readonly entry: LogEntry; readonly retry?: undefined }
  | { readonly entry?: undefined; readonly retry: Retry };

/**
 * Takes the events of one partition (or of all of them, unordered) for one consumer, in their order, and settles them. An event that must be tried again is noted with
 * its wait; in an ordered one it holds back all that follow. What was in flight at a crash is taken again, and what was
 * settled shortly before it.
 */
export class PartitionConsumer {
  readonly #state: PartitionState;
  readonly #cursors: CursorCommitter;
  readonly #plan: ConsumerPlan;
  readonly #handler: Handler;
  readonly #log: Log;
  readonly #types: ReadonlySet<string>;
  readonly #inFlight = new Set<number>();
  readonly #running = new Set<Promise<void>>();
  readonly #busy = new Set<number>();
  #buffer: LogEntry[] = [];
  #retries: Retry[] = [];
  /** When each is due, in ms that no setting of the clock moves; the store has it by the clock. */
  readonly #dueTicks = new WeakMap<Retry, number>();
  #taken = 0;
  #noted = 0;
  /** What is at hand at the start is stored as it goes: it may hold the event that ended the process. */
  #startedBehind = 0;
  #suspect: { readonly position: number; readonly starts: number } | undefined;
  #passedOver = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = true;

  constructor(
    state: PartitionState,
    cursors: CursorCommitter,
    plan: ConsumerPlan,
    handler: Handler,
    log: Log,
  ) {
    this.#state = state;
    this.#cursors = cursors;
    this.#plan = plan;
    this.#handler = handler;
    this.#log = log;
    this.#types = new Set(plan.types);
  }

  async start(): Promise<void> {
    const { position, suspect, starts } = await this.#state.open(this.#plan.since);
    this.#taken = position;
    this.#noted = position;
    this.#startedBehind = this.#state.logEnd();
    this.#retries = this.#state.retries();
    const head = this.#peek();
    if (head !== undefined) {
      this.#suspect = { position: head.position, starts: head.position === suspect ? starts + 1 : 1 };
      await this.#state.suspect(head.position, this.#suspect.starts);
    }
    this.#stopped = false;
    this.pump();
  }

  /** Finishes what is in flight and takes no more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await Promise.all(this.#running);
    this.#note();
    await this.#cursors.flush();
  }

  /** Takes what was appended to the log, if there is something for this consumer in it. */
  grown({ types, parts }: Appended): void {
    const { part } = this.#state;
    if (part >= 0 && !parts.has(part)) return;
    if (this.#types.isDisjointFrom(types) && ++this.#passedOver < PASSED_OVER) return;
    this.#passedOver = 0;
    this.pump();
  }

  /** Looks whether there is something to do. */
  pump(): void {
    try {
      this.#startJobs();
    } catch (err) {
      this.#log.warn({ err, consumer: this.#plan.durable }, 'the log could not be read; trying again');
      this.#pumpIn(1000);
    }
    this.#note();
  }

  /** Takes up an event that came back from the dead letters. */
  revive(): void {
    const known = new Set(this.#retries.map(({ id }) => id));
    this.#retries.push(...this.#state.retries().filter(({ id }) => !known.has(id)));
    this.pump();
  }

  #startJobs(): void {
    while (!this.#stopped && this.#running.size < this.#concurrency()) {
      const job = this.#nextRetry() ?? this.#nextEntry();
      if (job === undefined) return;
      const run = this.#run(job)
        .catch((err) => {
          if (!this.#stopped)
            this.#log.error({ err, consumer: this.#plan.durable }, 'an event is left unsettled');
        })
        .finally(() => {
          this.#running.delete(run);
          this.pump();
        });
      this.#running.add(run);
    }
  }

  #pumpIn(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => this.pump(), ms);
  }

  #concurrency(): number {
    const careful = this.#suspect !== undefined && this.#suspect.starts > 1;
    return this.#plan.ordered || careful ? 1 : this.#plan.concurrency;
  }

  #nextRetry(): Job | undefined {
    clearTimeout(this.#timer);
    const free = this.#retries.filter(({ id }) => !this.#busy.has(id));
    const [first] = this.#plan.ordered ? free : free.sort((a, b) => this.#ticksOf(a) - this.#ticksOf(b));
    if (first === undefined) return undefined;
    const wait = this.#ticksOf(first) - performance.now();
    if (wait <= 0) return { retry: first };
    this.#pumpIn(wait);
    return undefined;
  }

  /** Counted from when it was first looked at, and never longer than the consumer's longest wait. */
  #ticksOf(retry: Retry): number {
    const known = this.#dueTicks.get(retry);
    if (known !== undefined) return known;
    const wait = Math.min(Math.max(retry.due - Date.now(), 0), Math.max(...this.#plan.backoffMs));
    const ticks = performance.now() + wait;
    this.#dueTicks.set(retry, ticks);
    return ticks;
  }

  #nextEntry(): Job | undefined {
    if (this.#retries.length > (this.#plan.ordered ? 0 : MAX_RETRIES)) return undefined;
    const entry = this.#peek();
    if (entry === undefined) return undefined;
    this.#buffer.shift();
    this.#taken = entry.position;
    this.#inFlight.add(entry.position);
    return { entry };
  }

  #peek(): LogEntry | undefined {
    if (this.#buffer.length === 0) {
      const end = this.#state.logEnd();
      this.#buffer = end > this.#taken ? this.#state.entries(this.#plan, this.#taken, end) : [];
      if (this.#buffer.length === 0) this.#taken = Math.max(this.#taken, end);
    }
    return this.#buffer[0];
  }

  async #run({ entry, retry }: Job): Promise<void> {
    if (retry !== undefined) return this.#runRetry(retry);
    const attempt = this.#suspect?.position === entry.position ? this.#suspect.starts : 1;
    const verdict = await this.#deliver(entry.event, attempt);
    if (verdict.verdict === 'again') {
      const due = Date.now() + verdict.afterMs;
      this.#retries.push(await this.#state.addRetry(entry, { attempt, due, settled: this.#settled() }));
    } else if (verdict.verdict === 'dead') {
      await this.#bury(entry.event, attempt, verdict.error, entry.position, undefined);
    }
    this.#inFlight.delete(entry.position);
    if (this.#suspect?.position === entry.position) this.#suspect = undefined;
  }

  async #runRetry(before: Retry): Promise<void> {
    this.#busy.add(before.id);
    const retry = { ...before, attempt: before.attempt + 1 };
    await this.#state.updateRetry(retry);
    const verdict = await this.#deliver(retry.event, retry.attempt);
    const others = () => this.#retries.filter(({ id }) => id !== retry.id);
    if (verdict.verdict === 'again') {
      const again = { ...retry, due: Date.now() + verdict.afterMs };
      await this.#state.updateRetry(again);
      this.#retries = this.#retries.map((other) => (other.id === again.id ? again : other));
    } else {
      if (verdict.verdict === 'acknowledge') await this.#state.removeRetry(retry.id);
      else await this.#bury(retry.event, retry.attempt, verdict.error, retry.position, retry.id);
      this.#retries = others();
    }
    this.#busy.delete(retry.id);
  }

  #deliver(text: string, attempt: number): Promise<Verdict> {
    return deliver(this.#plan, decodeEvent(text), attempt, this.#handler, this.#log);
  }

  async #bury(
    text: string,
    attempt: number,
    error: string,
    position: number | null,
    retry: number | undefined,
  ): Promise<void> {
    const partition = this.#state.part < 0 ? undefined : this.#state.part;
    const record = makeDeadRecord(this.#plan, decodeEvent(text), { error, attempt, partition });
    await this.#state.bury(record, position, retry);
  }

  /** Up to where all is settled or noted. */
  #settled(): number {
    return this.#inFlight.size === 0 ? this.#taken : Math.min(...this.#inFlight) - 1;
  }

  #note(): void {
    const settled = this.#settled();
    if (settled <= this.#noted) return;
    const isBehind = this.#noted < this.#startedBehind;
    this.#noted = settled;
    this.#cursors.note(this.#state, settled);
    if (isBehind) void this.#cursors.flush();
  }
}
