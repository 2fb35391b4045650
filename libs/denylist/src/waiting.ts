import { setTimeout as delay } from 'node:timers/promises';

const BACKOFF_MS = [100, 200, 500, 1000, 2000, 5000] as const;

/** How long to wait after so many failures, in ms. */
export function backoffMs(failures: number): number {
  return BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)] ?? 5000;
}

/** Waits; without `ms`, until `closing` fires, which ends any wait. */
export async function pause(closing: AbortSignal, ms = 2 ** 31 - 1): Promise<void> {
  await delay(ms, undefined, { signal: closing, ref: false }).catch((error: unknown) => {
    if (!closing.aborted) throw error;
  });
}

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
    const ms = backoffMs(this.#failures++);
    this.#onFailure(error, ms);
    await pause(this.#closing, ms);
  }
}
