import { deadlineIn } from '@signet/async';
import type { Statement } from '@signet/sqlite';
import type { Message } from '../bus.ts';
import { BusError } from '../bus-error.ts';
import { encodeSegment, MAX_SUBJECT_BYTES, segmentBytes } from './message-segment.ts';

/** Bytes from which on a batch takes no more. */
const BATCH_BYTES = 1_048_576;

const APPEND = `INSERT INTO bus_mqtt_segment (last, at, messages)
  VALUES ((SELECT COALESCE(MAX(last), 0) FROM bus_mqtt_segment) + ?, ?, ?)`;

type Batch = {
  readonly messages: Message[];
  bytes: number;
  readonly begun: number;
  deadlineMs: number;
  readonly stored: PromiseWithResolvers<void>;
};

/**
 * Stores messages: those of one turn of the event loop, and those that come while a commit is under way, go as one row
 * and one commit. All of a batch share one promise, so that a message costs little more than its bytes.
 */
export class StoredMessages {
  readonly #write: (unit: readonly Statement[], until: () => AbortSignal) => Promise<void>;
  readonly #removal: () => Statement;
  readonly #onStored: (messages: readonly Message[]) => void;
  readonly #waiting: Batch[] = [];
  #isWriting = false;

  constructor(parts: {
    /** Writes one unit; rejects with BusError once `until` has aborted. */
    readonly write: (unit: readonly Statement[], until: () => AbortSignal) => Promise<void>;
    /** What is written with each batch, so that the log keeps to its bounds at any rate. */
    readonly removal: () => Statement;
    readonly onStored: (messages: readonly Message[]) => void;
  }) {
    this.#write = parts.write;
    this.#removal = parts.removal;
    this.#onStored = parts.onStored;
  }

  /** Resolves once it is on the disk. Rejects with BusError `full` or `unavailable` after `deadlineMs`, `closed`, `too-large`. */
  store(message: Message, deadlineMs: number): Promise<void> {
    if (message.subject.length > MAX_SUBJECT_BYTES)
      return Promise.reject(new BusError('too-large', 'subject: it is too long'));
    const batch = this.#batch(deadlineMs);
    batch.messages.push(message);
    batch.bytes += segmentBytes(message);
    if (deadlineMs < batch.deadlineMs) batch.deadlineMs = deadlineMs;
    return batch.stored.promise;
  }

  #batch(deadlineMs: number): Batch {
    const last = this.#waiting.at(-1);
    if (last !== undefined && last.bytes < BATCH_BYTES) return last;
    const stored = Promise.withResolvers<void>();
    const batch: Batch = { messages: [], bytes: 0, begun: performance.now(), deadlineMs, stored };
    this.#waiting.push(batch);
    if (!this.#isWriting) {
      this.#isWriting = true;
      setImmediate(() => void this.#run());
    }
    return batch;
  }

  async #run(): Promise<void> {
    for (let batch = this.#waiting.shift(); batch !== undefined; batch = this.#waiting.shift()) {
      const { messages, bytes, begun, deadlineMs, stored } = batch;
      try {
        const params = [messages.length, Date.now(), encodeSegment(messages, bytes)];
        await this.#write([{ sql: APPEND, params }, this.#removal()], () =>
          deadlineIn(begun + deadlineMs - performance.now()),
        );
      } catch (error) {
        stored.reject(error);
        continue;
      }
      this.#onStored(messages);
      stored.resolve();
    }
    this.#isWriting = false;
  }
}
