import { pause } from '../pause.ts';
import type { SharedIdentity } from './share-identity.ts';

export type IdentityFollowing = {
  /** How often the platform is asked for a newer CRL, ms. */
  readonly refreshMs: number;
  /** How long what did not work is left alone, ms. */
  readonly retryMs: number;
  readonly signal?: AbortSignal | undefined;
};

/** Keeps the shared folder current in the background: at every `wake`, and on schedule. Disposing it ends that. */
export class IdentityFollower implements AsyncDisposable {
  readonly #over = new AbortController();
  readonly #following: Promise<void>;
  #awake = new AbortController();

  constructor(shared: SharedIdentity, { refreshMs, retryMs, signal }: IdentityFollowing) {
    const stop = signal === undefined ? this.#over.signal : AbortSignal.any([this.#over.signal, signal]);
    this.#following = this.#follow(shared, { refreshMs, retryMs, stop });
    // whoever disposes of it hears of it
    this.#following.catch(() => {});
  }

  /** The device folder has other files than before. */
  wake(): void {
    this.#awake.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#following;
  }

  async #follow(
    shared: SharedIdentity,
    { refreshMs, retryMs, stop }: { refreshMs: number; retryMs: number; stop: AbortSignal },
  ): Promise<void> {
    while (!stop.aborted) {
      this.#awake = new AbortController();
      const isDone = await shared.update(stop);
      // not all devices of a fleet at once
      const ms = (isDone ? refreshMs : retryMs) * (0.9 + Math.random() * 0.2);
      await pause(ms, AbortSignal.any([stop, this.#awake.signal]));
    }
  }
}
