import { JetStreamApiError, type PubAck } from '@nats-io/jetstream';
import { errors, type MsgHdrs } from '@nats-io/nats-core';
import { backoffMs, pause } from '@signet/async';
import { BusError } from '../bus-error.ts';
import type { Log } from '../log.ts';
import { type Link, RETRY } from './link.ts';

/** What is on its way into a stream. */
export type Outgoing = {
  readonly subject: string;
  readonly payload: string | Uint8Array;
  /** The stream keeps one of several with the same id. */
  readonly msgID: string;
  readonly headers?: MsgHdrs;
};

/** JetStream's codes for "a limit of the stream or of the account is reached". */
const FULL = new Set([10023, 10028, 10047, 10049, 10077]);

const FAULT_LASTS_MS = 15_000;

/** Publishes into streams and stays at it until the stream has the message. */
export class Publisher {
  readonly #link: Link;
  readonly #log: Log;
  #fault: { readonly text: string; readonly at: number } | undefined;

  constructor(link: Link, log: Log) {
    this.#link = link;
    this.#log = log;
  }

  /**
   * The last failure, until a message is stored or nobody has met it for a while. A replica that is not ready gets
   * nothing to publish, and would otherwise never learn that all is well again.
   */
  failure(): string | undefined {
    const fault = this.#fault;
    return fault !== undefined && performance.now() - fault.at < FAULT_LASTS_MS ? fault.text : undefined;
  }

  /**
   * @throws BusError `full` or `unavailable` when `signal` aborts, `closed`, `too-large`
   */
  async store(message: Outgoing, signal?: AbortSignal): Promise<PubAck> {
    const stop = signal === undefined ? this.#link.closing : AbortSignal.any([signal, this.#link.closing]);
    let failure = new BusError('unavailable', this.#link.failure() ?? 'NATS did not answer');
    for (let attempt = 1; ; attempt++) {
      try {
        const ack = await this.#once(message, stop);
        this.#fault = undefined;
        return ack;
      } catch (error) {
        if (this.#link.closing.aborted) throw this.#link.closing.reason;
        if (!stop.aborted) failure = await this.#explain(message, error);
        if (failure.code === 'too-large') throw failure;
        if (attempt === 1 || attempt % 10 === 0) {
          this.#log.warn({ subject: message.subject, attempt, err: failure }, 'a message waits to be stored');
        }
        if (await pause(backoffMs(attempt, RETRY), { signal: stop })) continue;
        this.#link.closing.throwIfAborted();
        throw new BusError(failure.code, failure.message, { cause: failure.cause ?? stop.reason });
      }
    }
  }

  /** One try; it ends early when a lost connection is back, for then no acknowledgement will come. */
  async #once({ subject, payload, ...options }: Outgoing, stop: AbortSignal): Promise<PubAck> {
    const { js } = await this.#link.connected(stop);
    stop.throwIfAborted();
    const vain = Promise.withResolvers<never>();
    const abort = () => vain.reject(stop.reason);
    stop.addEventListener('abort', abort, { once: true });
    const forget = this.#link.onReconnect(() => vain.reject(new Error('the connection was lost in between')));
    try {
      return await Promise.race([js.publish(subject, payload, { timeout: 5000, ...options }), vain.promise]);
    } finally {
      stop.removeEventListener('abort', abort);
      forget();
    }
  }

  async #explain({ subject }: Outgoing, cause: unknown): Promise<BusError> {
    if (cause instanceof JetStreamApiError && FULL.has(cause.code)) {
      const text = `the stream of ${subject.split('.').slice(0, 2).join('.')} is full: ${cause.message}`;
      this.#fault = { text, at: performance.now() };
      return new BusError('full', text, { cause });
    }
    if (
      cause instanceof errors.InvalidArgumentError ||
      (cause instanceof JetStreamApiError && cause.code === 10054)
    ) {
      return new BusError('too-large', `${subject}: ${cause.message}`, { cause });
    }
    const connection = this.#link.connection;
    if (cause instanceof errors.RequestError && connection !== undefined && this.#link.up) {
      await this.#link.repair(connection).catch(() => {});
    }
    const text = cause instanceof Error ? cause.message : String(cause);
    if (this.#link.up) this.#fault = { text: `${subject}: ${text}`, at: performance.now() };
    return new BusError('unavailable', this.#link.failure() ?? `${subject}: ${text}`, { cause });
  }
}
