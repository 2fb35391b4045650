import type { DenyListOptions } from './deny-list.ts';
import type { HeldList } from './held-list.ts';
import type { ListState } from './list-state.ts';
import { SnapshotCache } from './snapshot-cache.ts';

const SAVE_MS = 60_000;

/** Keeps the list in a file, and starts from it while the authority is away. Does nothing where there is no file. */
export class ListOnDisk {
  readonly #held: HeldList;
  readonly #options: Pick<DenyListOptions, 'cacheFile' | 'cacheMaxAgeMs' | 'staleAfterMs' | 'now' | 'log'>;
  readonly #cache: SnapshotCache | undefined;
  #savedList: ListState | undefined;
  #dueAt = 0;

  constructor(held: HeldList, options: DenyListOptions) {
    this.#held = held;
    this.#options = options;
    this.#cache = options.cacheFile === undefined ? undefined : new SnapshotCache(options.cacheFile);
  }

  /** Puts the list on disk into force once `catchUp` has done with it, if it is not too old. */
  async open(catchUp: (state: ListState) => Promise<void>): Promise<void> {
    const { cacheFile, staleAfterMs, cacheMaxAgeMs = staleAfterMs, now, log } = this.#options;
    try {
      const cached = await this.#cache?.read();
      if (cached === undefined) return;
      const age = now() - cached.asOf;
      const facts = { cacheFile, ageSeconds: Math.round(age / 1000), number: cached.state.number };
      if (age < 0 || age > cacheMaxAgeMs) {
        log.warn(facts, 'deny list: the list on disk is too old to start from');
        return;
      }
      this.#held.freshness.cached(cached.state.number, cached.asOf);
      await catchUp(cached.state);
      this.#held.freshness.applied(cached.state.number);
      this.#held.adopt(cached.state);
      log.info(facts, 'deny list: started from the list on disk');
    } catch (error) {
      log.warn({ err: error, cacheFile }, 'deny list: the list on disk cannot be used');
    }
  }

  /** Saves what is held if that is due: less often the longer the list, and at once if it was loaded anew. */
  async saveIfDue(): Promise<void> {
    if (this.#held.live !== this.#savedList || this.#options.now() >= this.#dueAt) await this.save();
  }

  async save(): Promise<void> {
    const { live, freshness } = this.#held;
    const { now, log } = this.#options;
    if (this.#cache === undefined || live === undefined || !freshness.inContact) return;
    if (live.number < freshness.head) return;
    try {
      await this.#cache.write(live, freshness.asOf);
      this.#savedList = live;
      this.#dueAt = now() + SAVE_MS * Math.max(1, live.table.size / 1_000_000);
    } catch (error) {
      log.error({ err: error }, 'deny list: cannot keep the list on disk');
    }
  }
}
