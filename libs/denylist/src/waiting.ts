import { backoffMs, pause } from '@signet/async';

/** Between tries to reach the authority, ms. */
export const RETRY = { firstMs: 100, lastMs: 5000 } as const;

/** Waits between tries, longer after each failure in a row. */
export class Backoff {
  readonly #closing: AbortSignal;
  readonly #onFailure: (error: unknown, retryMs: number) => void;
  #failures = 0;

  constructor(closing: AbortSignal, onFailure: (error: unknown, retryMs: number) => void) {
    this.#closing = closing;
    this.#onFailure = onFailure;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  async failed(error: unknown): Promise<void> {
    if (this.#closing.aborted) return;
    const ms = backoffMs(++this.#failures, RETRY);
    this.#onFailure(error, ms);
    await pause(ms, { signal: this.#closing, unref: true });
  }
}
