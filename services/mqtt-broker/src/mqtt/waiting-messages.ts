import type { SessionStore, Waiting } from '../domain/session-store.ts';

/** Bounds what waits for one device. */
export type WaitingLimits = { readonly messages: number; readonly bytes: number };

/**
 * What waits for devices that are away. Messages for a device come to one node only, so that node counts: from what the
 * store has when the first one comes, until the device is back.
 */
export class WaitingMessages {
  readonly #store: SessionStore;
  readonly #limits: WaitingLimits;
  readonly #away = new Map<string, Promise<{ messages: number; bytes: number }>>();

  constructor(store: SessionStore, limits: WaitingLimits) {
    this.#store = store;
    this.#limits = limits;
  }

  /** Counts a message for an absent device. False: there is no room for it. */
  async admits(key: string, bytes: number): Promise<boolean> {
    const waiting = await this.#waitingFor(key);
    if (waiting.messages >= this.#limits.messages || waiting.bytes + bytes > this.#limits.bytes) return false;
    waiting.messages++;
    waiting.bytes += bytes;
    return true;
  }

  /** The device is here, or gone for good. */
  forget(key: string): void {
    this.#away.delete(key);
  }

  async #waitingFor(key: string): Promise<{ messages: number; bytes: number }> {
    const known = this.#away.get(key);
    if (known !== undefined) return await known;
    const counted = this.#store.waiting(key).then((waiting: Waiting) => ({ ...waiting }));
    this.#away.set(key, counted);
    try {
      return await counted;
    } catch (error) {
      this.#away.delete(key);
      throw error;
    }
  }
}
