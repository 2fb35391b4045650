import type { Session } from './session.ts';

/**
 * Sessions that are being opened. What waits for a device is sent to it first: a message that is put into its queue
 * meanwhile follows when that is through, so that the device gets its messages in their order.
 */
export class Settling {
  readonly #settled = new WeakSet<Session>();
  readonly #waiting = new Map<Session, (() => void)[]>();

  /** Calls `then` once this session has got what waited for it; at once where there is none. */
  whenSettled(session: Session | undefined, then: () => void): void {
    if (session === undefined || this.#settled.has(session)) {
      then();
      return;
    }
    const waiting = this.#waiting.get(session);
    if (waiting === undefined) this.#waiting.set(session, [then]);
    else waiting.push(then);
  }

  /** Its queue is to be sent to it once more; until {@link settled} what is newer waits. */
  reopen(session: Session): void {
    this.#settled.delete(session);
  }

  /** Its queue was sent to it, or it is gone. */
  settled(session: Session): void {
    this.#settled.add(session);
    const waiting = this.#waiting.get(session) ?? [];
    this.#waiting.delete(session);
    for (const then of waiting) then();
  }
}
