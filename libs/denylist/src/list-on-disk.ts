import type { DenyListOptions } from './deny-list.ts';
import { DenyTable } from './deny-table.ts';
import type { HeldList } from './held-list.ts';
import { ListState } from './list-state.ts';
import { SnapshotCache } from './snapshot-cache.ts';

const SAVE_MS = 60_000;

/** Says how old a list on disk may be, and who sets that. */
export function boundOf(maxAgeMs: number): string {
  return `, while SIGNET_DENYLIST_MAX_SNAPSHOT_AGE_SECONDS allows ${Math.round(maxAgeMs / 1000)} s without its authority`;
}

/** Keeps the list in a file, and starts from it while the authority is unavailable. Does nothing where there is no file. */
export class ListOnDisk {
  readonly #held: HeldList;
  readonly #options: Pick<DenyListOptions, 'cacheFile' | 'cacheMaxAgeMs' | 'staleAfterMs' | 'now' | 'log'>;
  readonly #cache: SnapshotCache | undefined;
  #savedList: ListState | undefined;
  #dueAt = 0;
  /** Why nothing was started from, in words that follow others. */
  tooOld: string | undefined;
  readonly #keptCache: SnapshotCache | undefined;
  #keptSaved = new DenyTable().digest;

  constructor(held: HeldList, options: DenyListOptions) {
    this.#held = held;
    this.#options = options;
    this.#cache = options.cacheFile === undefined ? undefined : new SnapshotCache(options.cacheFile);
    this.#keptCache =
      options.cacheFile === undefined ? undefined : new SnapshotCache(`${options.cacheFile}.kept`);
  }

  /** Puts the list on disk into force once `catchUp` has done with it, if it is not too old. */
  async open(catchUp: (state: ListState) => Promise<void>): Promise<void> {
    const { cacheFile, staleAfterMs, cacheMaxAgeMs = staleAfterMs, now, log } = this.#options;
    await this.#openKept();
    try {
      const cached = await this.#cache?.read();
      if (cached === undefined) return;
      const age = now() - cached.asOf;
      const facts = { cacheFile, ageSeconds: Math.round(age / 1000), number: cached.state.number };
      if (age < 0 || age > cacheMaxAgeMs) {
        this.tooOld = `: the one on disk is ${facts.ageSeconds} s old${boundOf(cacheMaxAgeMs)}`;
        log.warn(facts, `deny list: the list on disk is too old to start from${boundOf(cacheMaxAgeMs)}`);
        this.#held.remember(cached.state);
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
    if (
      this.#held.live !== this.#savedList ||
      this.#held.kept.digest !== this.#keptSaved ||
      performance.now() >= this.#dueAt
    )
      await this.save();
  }

  async save(): Promise<void> {
    const { live, freshness } = this.#held;
    const { log } = this.#options;
    if (this.#cache === undefined || live === undefined || !freshness.inContact) return;
    if (live.number < freshness.head) return;
    try {
      await this.#saveKept();
      await this.#cache.write(live, freshness.asOf);
      this.#savedList = live;
      this.#dueAt = performance.now() + SAVE_MS * Math.max(1, live.table.size / 1_000_000);
    } catch (error) {
      log.error({ err: error }, 'deny list: cannot keep the list on disk');
    }
  }

  /** Kept denials outlive a restart, whatever the age of their file. */
  async #openKept(): Promise<void> {
    const { cacheFile, log } = this.#options;
    try {
      const cached = await this.#keptCache?.read();
      if (cached === undefined) return;
      this.#held.keep(cached.state.table);
      this.#keptSaved = this.#held.kept.digest;
    } catch (error) {
      log.error({ err: error, cacheFile: `${cacheFile}.kept` }, 'deny list: kept denials cannot be read');
    }
  }

  /** Before the list: whoever dies in between still has them in the older list. */
  async #saveKept(): Promise<void> {
    const { kept } = this.#held;
    if (kept.digest === this.#keptSaved) return;
    await this.#keptCache?.write(new ListState(kept, this.#options.now()), this.#options.now());
    this.#keptSaved = kept.digest;
  }
}
