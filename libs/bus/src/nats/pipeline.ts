import { randomUUID } from 'node:crypto';
import { createInbox, headers, type Msg, type NatsConnection } from '@nats-io/nats-core';
import { deadlineIn } from '@signet/async';
import type { Link } from './link.ts';
import type { Outgoing, Publisher } from './publisher.ts';

/** After so long without an acknowledgement a message takes the slow way, ms. */
const PATIENCE_MS = 5000;
const SWEEP_MS = 500;

type Waiting = {
  readonly message: Outgoing;
  readonly begun: number;
  readonly deadlineMs: number;
  readonly stored: PromiseWithResolvers<void>;
};

/**
 * Publishes into a stream, with one subscription for all acknowledgements and one timer for all that wait. What goes
 * wrong in any way goes through {@link Publisher}, which knows what to do about it; the stream keeps one of the two.
 */
export class Pipeline {
  readonly #link: Link;
  readonly #publisher: Publisher;
  readonly #inbox = createInbox();
  readonly #name = randomUUID();
  readonly #waiting = new Map<number, Waiting>();
  #subscribed: NatsConnection | undefined;
  #sweeping: NodeJS.Timeout | undefined;
  #count = 0;

  constructor(link: Link, publisher: Publisher) {
    this.#link = link;
    this.#publisher = publisher;
    link.onReconnect(() => this.#giveUp(() => true));
    link.closing.addEventListener('abort', () => this.#giveUp(() => true), { once: true });
  }

  /** @throws BusError `full` or `unavailable` after `deadlineMs`, `closed`, `too-large` */
  store(subject: string, payload: Uint8Array, deadlineMs: number): Promise<void> {
    const number = ++this.#count;
    const message = { subject, payload, msgID: `${this.#name}.${number}` };
    const stored = Promise.withResolvers<void>();
    const waiting: Waiting = { message, begun: performance.now(), deadlineMs, stored };
    this.#waiting.set(number, waiting);
    if (!this.#publish(number, message)) this.#slowly(number, waiting);
    this.#sweeping ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
    return stored.promise;
  }

  #publish(number: number, { subject, payload, msgID }: Outgoing): boolean {
    const { connection, up, closing } = this.#link;
    if (connection === undefined || !up || closing.aborted) return false;
    const { nc } = connection;
    try {
      if (this.#subscribed !== nc) this.#subscribe(nc);
      const named = headers();
      named.set('Nats-Msg-Id', msgID);
      nc.publish(subject, payload, { reply: `${this.#inbox}.${number}`, headers: named });
      return true;
    } catch {
      return false;
    }
  }

  #subscribe(nc: NatsConnection): void {
    nc.subscribe(`${this.#inbox}.*`, {
      callback: (error, answer) => {
        if (error === null) this.#answered(answer);
      },
    });
    this.#subscribed = nc;
  }

  #answered(answer: Msg): void {
    const number = Number(answer.subject.slice(this.#inbox.length + 1));
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return;
    if (isStored(answer)) {
      this.#waiting.delete(number);
      waiting.stored.resolve();
    } else this.#slowly(number, waiting);
  }

  #slowly(number: number, { message, begun, deadlineMs, stored }: Waiting): void {
    this.#waiting.delete(number);
    const until = deadlineIn(begun + deadlineMs - performance.now());
    this.#publisher.store(message, until).then(() => stored.resolve(), stored.reject);
  }

  #sweep(): void {
    const now = performance.now();
    this.#giveUp(({ begun, deadlineMs }) => now - begun > Math.min(PATIENCE_MS, deadlineMs));
    if (this.#waiting.size > 0) return;
    clearInterval(this.#sweeping);
    this.#sweeping = undefined;
  }

  #giveUp(which: (waiting: Waiting) => boolean): void {
    for (const [number, waiting] of [...this.#waiting]) if (which(waiting)) this.#slowly(number, waiting);
  }
}

/** A stream answers with its name and the message's number; an error, or nobody, with something else. */
function isStored(answer: Msg): boolean {
  if (answer.data.length === 0) return false;
  const { seq, error } = answer.json<{ seq?: number; error?: object }>();
  return seq !== undefined && error === undefined;
}
