import type { MqttSession } from '../mqtt-session.ts';
import { within } from '../pause.ts';
import type { MessageQueue, QueuedMessage } from './message-queue.ts';

/** Messages that are on their way to the broker at a time. */
const WINDOW = 16;
/** How long a session that ends is waited for, ms. */
const FAREWELL_MS = 5000;

type Session = Pick<MqttSession, 'publish'>;

/**
 * Sends what a queue holds, in order, QoS 1, over whatever session there is. A message leaves the queue with the
 * broker's acknowledgement; one whose session ended first is sent again over the next.
 */
export class MessageSender {
  readonly #queue: MessageQueue;
  readonly #acknowledged: (number: number) => void;
  #sending: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;

  constructor(queue: MessageQueue, acknowledged: (number: number) => void = () => {}) {
    this.#queue = queue;
    this.#acknowledged = acknowledged;
  }

  /** Sends over this session until `hold`, or until it fails. */
  online(session: Session): void {
    const before = this.#sending;
    before?.stop.abort();
    const stop = new AbortController();
    this.#sending = { stop, done: Promise.resolve(before?.done).then(() => this.#sendAll(session, stop)) };
  }

  /** Begins no other message; resolves when those on their way were answered, or have had the time for it. */
  async hold(): Promise<void> {
    const sending = this.#sending;
    if (sending === undefined) return;
    sending.stop.abort();
    await within(FAREWELL_MS, sending.done);
  }

  async #sendAll(session: Session, { signal }: AbortController): Promise<void> {
    const flights: Promise<boolean>[] = [];
    let last = this.#queue.delivered;
    let isSound = true;
    while (isSound && !signal.aborted) {
      const message = await this.#next(last, signal);
      if (message === undefined || signal.aborted) break;
      last = message.number;
      const before = flights.at(-1) ?? Promise.resolve(true);
      flights.push(this.#send(session, message, before));
      if (flights.length >= WINDOW) isSound = (await flights.shift()) ?? true;
    }
    await Promise.all(flights);
  }

  /** Whether it and all before it were acknowledged. */
  async #send(session: Session, message: QueuedMessage, before: Promise<boolean>): Promise<boolean> {
    const { number, topic, payload } = message;
    const sent = session.publish(topic.split('/'), payload).then(
      () => true,
      () => false,
    );
    if (!(await before) || !(await sent)) return false;
    this.#queue.deliveredUpTo(number);
    this.#acknowledged(number);
    return true;
  }

  /** The message after that number, once there is one; undefined when told to stop. */
  async #next(number: number, signal: AbortSignal): Promise<QueuedMessage | undefined> {
    while (!signal.aborted) {
      const woken = Promise.withResolvers<void>();
      using _added = this.#queue.added(woken.resolve);
      const message = await this.#queue.after(number);
      if (message !== undefined) return message;
      const stopped = () => woken.resolve();
      signal.addEventListener('abort', stopped, { once: true });
      await woken.promise;
      signal.removeEventListener('abort', stopped);
    }
    return undefined;
  }
}
