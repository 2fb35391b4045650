/** What is on its way to the bus. */
export class Underway {
  readonly #running = new Set<Promise<unknown>>();

  add(running: Promise<unknown>): void {
    if (this.#running.has(running)) return;
    this.#running.add(running);
    const done = () => this.#running.delete(running);
    running.then(done, done);
  }

  /** Resolves when nothing is. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }
}
