/**
 * Since when this replica owes denials: it was told of some and could not put them into the list, or cannot know what
 * waits for it in the stream. Times are monotonic, ms.
 *
 * What it could put into the list and not into the stream is not owed: heads name its number, and listeners ask for it.
 */
export class DenialDebt {
  readonly #now: () => number;
  /** Since when nothing that it was told of has come into the list. */
  #failingSince: number | undefined;
  /** Since when something has been waiting in the stream, or may. */
  #waitingSince: number | undefined;
  /** When it was looked last at what waits. */
  #lookedAt: number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#lookedAt = now();
  }

  owedMs(): number {
    const since = Math.min(this.#failingSince ?? Infinity, this.#waitingSince ?? Infinity);
    return Math.max(0, this.#now() - since);
  }

  /** Runs what puts denials into the list. */
  async taking<T>(work: () => Promise<T>): Promise<T> {
    const begun = this.#now();
    try {
      const result = await work();
      this.#failingSince = undefined;
      // what waits still is younger: it goes on
      if (this.#waitingSince !== undefined) this.#waitingSince = Math.max(this.#waitingSince, begun);
      return result;
    } catch (error) {
      this.#failingSince ??= begun;
      throw error;
    }
  }

  /** Looks at how many events wait in the stream. Where that cannot be told, some may have waited since the last look. */
  async look(waiting: () => Promise<number>): Promise<void> {
    const at = this.#now();
    try {
      if ((await waiting()) === 0) this.#waitingSince = undefined;
      else this.#waitingSince ??= this.#lookedAt;
    } catch (error) {
      this.#waitingSince ??= this.#lookedAt;
      throw error;
    } finally {
      this.#lookedAt = at;
    }
  }
}
