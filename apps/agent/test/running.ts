import { expect, vi } from 'vitest';
import { type RunEvent, type RunOptions, run } from '../src/index.ts';
import type { Made } from './devices.ts';

/** `run` in the background with what it reports. */
export class Running implements AsyncDisposable {
  readonly events: RunEvent[] = [];
  readonly #over = new AbortController();
  readonly ended: Promise<unknown>;

  constructor({ folder }: Pick<Made, 'folder'>, options: RunOptions = {}) {
    this.ended = run(folder, {
      maxWaitMs: 500,
      statusMs: 200,
      ...options,
      signal: this.#over.signal,
      report: (event) => this.events.push(event),
    }).then(
      () => undefined,
      (error: unknown) => error,
    );
  }

  count(step: RunEvent['step']): number {
    return this.events.filter((event) => event.step === step).length;
  }

  until(step: RunEvent['step'], count = 1): Promise<void> {
    return vi.waitFor(() => expect(this.count(step)).toBeGreaterThanOrEqual(count), 20_000);
  }

  stop(): Promise<unknown> {
    this.#over.abort();
    return this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
