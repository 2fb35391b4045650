/** Runs what concerns one session one after the other; what concerns others beside it. */
export class Serial {
  readonly #last = new Map<string, Promise<void>>();

  /** Runs `task` after all that was given for this key before. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const running = before.then(task);
    const settled = running.then(
      () => {},
      () => {},
    );
    this.#last.set(key, settled);
    void settled.then(() => {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    });
    return running;
  }

  isBusy(key: string): boolean {
    return this.#last.has(key);
  }

  /** Resolves when all that was given for this key until now has run. */
  async idle(key: string): Promise<void> {
    await this.#last.get(key);
  }

  /** Resolves when nothing runs. */
  async settled(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values());
  }
}
