import { type DenyChange, newEvent, PLATFORM_ACCOUNT } from '@signet/contracts';
import { type DenyListDigest, type DenyTable, denyKey, ListState } from '@signet/denylist';
import { isDuplicate } from '@signet/store';
import { decide } from '../denial/decide.ts';
import type { DenyState, Intent, KeyedIntent } from '../denial/deny-state.ts';
import { loadEntries, Projector } from './projection.ts';
import { type ChangeRecord, changeId, type LedgerCollections } from './records.ts';
import { snapshotPage } from './snapshot-page.ts';

/** Targets in one change, and so entries in one event. */
const TARGETS_IN_CHANGE = 1000;
/** A replica that has not looked for longer looks before it numbers: what it would number may be trimmed already. */
const CONFIRMED_MS = 60_000;
/** Changes read at a time. */
const CHANGES_AT_ONCE = 200;
/** Changes that may wait for their entries before the next is made. */
const BACKLOG = 32;

type Waiting = {
  readonly intents: readonly Intent[];
  readonly resolve: (number: number) => void;
  readonly reject: (error: unknown) => void;
};

/**
 * The deny list as its numbered changes. A change's number is its document id: whoever inserts n + 1 while holding all up
 * to n decided on the state as of n; who finds it taken takes that change in, and decides again. So any number of
 * replicas number without a gap. Everything else follows from the changes: the table here, the entries in the store.
 */
export class Ledger {
  readonly #collections: LedgerCollections;
  readonly #now: () => number;
  readonly #onNumber: (number: number) => void;
  readonly #queue = new SerialQueue();
  readonly #waiting: Waiting[] = [];
  readonly #projector: Projector;
  #state: ListState;
  /** Unix ms at which {@link number} was the last in the store. */
  #confirmedAt = Number.NEGATIVE_INFINITY;

  private constructor(
    collections: LedgerCollections,
    loaded: { readonly table: DenyTable; readonly number: number },
    options: LedgerOptions,
  ) {
    this.#collections = collections;
    this.#projector = new Projector(collections.entries);
    this.#state = new ListState(loaded.table, loaded.number);
    this.#now = options.now;
    this.#onNumber = options.onNumber;
  }

  /** Loads the entries, then the changes that they do not have yet. */
  static async open(collections: LedgerCollections, options: LedgerOptions): Promise<Ledger> {
    const ledger = new Ledger(collections, await loadEntries(collections, options.now), options);
    await ledger.catchUp();
    return ledger;
  }

  /** Number of the last change in the table. */
  get number(): number {
    return this.#state.number;
  }

  /** What is denied as of {@link number}. */
  get table(): DenyTable {
    return this.#state.table;
  }

  /** What the table comes to. */
  get digest(): DenyListDigest {
    const { horizon, digest } = this.table;
    return { number: this.number, horizon, digest };
  }

  /**
   * Makes what is intended a change, together with what others intend at the same time; what is too much for one change is
   * made several. Repeating it changes nothing.
   * @returns the number of a change at which it holds
   */
  async append(intents: readonly Intent[]): Promise<number> {
    const pieces: (readonly Intent[])[] = [];
    for (let i = 0; i < Math.max(1, intents.length); i += TARGETS_IN_CHANGE)
      pieces.push(intents.slice(i, i + TARGETS_IN_CHANGE));
    return Math.max(...(await Promise.all(pieces.map((piece) => this.#appendPiece(piece)))));
  }

  #appendPiece(intents: readonly Intent[]): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ intents, resolve, reject });
      this.#queue.run(() => this.#appendWaiting()).catch(reject);
    });
  }

  /** A page of the snapshot as of {@link number}, packed, in base64; undefined where `cursor` is none of a snapshot. */
  snapshot(cursor: string | undefined) {
    const page = snapshotPage(this.table, cursor);
    return page === undefined ? undefined : { number: this.number, ...page };
  }

  /** What is known of a target, by its key. */
  async state(key: string): Promise<DenyState | undefined> {
    const entry = this.#projector.pending(key) ?? (await this.#collections.entries.get(key));
    return entry === undefined ? undefined : stateOf(entry);
  }

  /** Resolves once the entries in the store have every change. */
  settled(): Promise<void> {
    return this.#projector.settled();
  }

  /** Drops from the table what has expired by `horizon` (Unix seconds). */
  purge(horizon: number): void {
    this.#state.purge(horizon);
  }

  /** Whether another replica's list is this one; undefined where that cannot be told now. */
  agrees(digest: DenyListDigest): boolean | undefined {
    return this.#state.agrees(digest);
  }

  /** Makes the table anew of what the store has. */
  reload(): Promise<void> {
    return this.#queue.run(async () => {
      await this.#projector.settled();
      const { table, number } = await loadEntries(this.#collections, this.#now);
      this.#state = new ListState(table, number);
      await this.#readNewer();
    });
  }

  /** Takes in what other replicas have changed, and writes what the entries lack. */
  catchUp(): Promise<void> {
    return this.#queue.run(async () => {
      await this.#readNewer();
      await this.#projector.settled();
    });
  }

  /** Runs `work` while this replica changes nothing. `number`: the entries have all changes up to it. */
  whileQuiet<T>(work: (number: number) => Promise<T>): Promise<T> {
    return this.#queue.run(async () => {
      await this.#projector.settled();
      return work(this.number);
    });
  }

  async #appendWaiting(): Promise<void> {
    const batch = this.#takeBatch();
    if (batch.length === 0) return;
    try {
      const number = await this.#appendOne(batch.flatMap(({ intents }) => intents.map(keyed)));
      for (const { resolve } of batch) resolve(number);
    } catch (error) {
      for (const { reject } of batch) reject(error);
      return;
    }
    // What fails here is done again at the next change, and at the next catch-up, which tells of it.
    this.#projector.settled().catch(() => undefined);
  }

  #takeBatch(): Waiting[] {
    let targets = 0;
    const end = this.#waiting.findIndex(({ intents }, index) => {
      targets += intents.length;
      return index > 0 && targets > TARGETS_IN_CHANGE;
    });
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
  }

  async #appendOne(intents: readonly KeyedIntent[]): Promise<number> {
    const { changes } = this.#collections;
    if (performance.now() - this.#confirmedAt > CONFIRMED_MS) await this.#readNewer();
    for (;;) {
      if (this.#projector.backlog > BACKLOG) await this.#projector.settled();
      const before = await this.#statesOf(intents);
      const [now, asOf] = [this.#now(), performance.now()];
      const decision = decide(intents, before, Math.floor(now / 1000));
      if (decision === undefined) {
        // Nothing to change as of this number; another replica may have changed the very thing since.
        if (await this.#readNewer()) continue;
        return this.number;
      }
      const number = this.number + 1;
      const { add, lift, since } = decision;
      const change: DenyChange = { number, add, lift, ...(since === undefined ? {} : { since }) };
      const record = {
        ...change,
        id: changeId(number),
        at: new Date(now).toISOString(),
        states: [...decision.states],
      };
      const event = newEvent('DENYLIST_CHANGED', {
        account: PLATFORM_ACCOUNT,
        subject: 'denylist',
        data: change,
        time: now,
      });
      try {
        await changes.insert(record, [event]);
      } catch (error) {
        if (!isDuplicate(error)) throw error;
        if (!(await this.#readNewer())) throw error;
        continue;
      }
      this.#take(record);
      this.#confirmedAt = asOf;
      this.#onNumber(number);
      return number;
    }
  }

  /** The states of the targets as of {@link number}. */
  async #statesOf(intents: readonly KeyedIntent[]): Promise<Map<string, DenyState>> {
    const now = Math.floor(this.#now() / 1000);
    const targets = new Map(intents.map(({ key, target }) => [key, target]));
    const found = await Promise.all(
      Array.from(targets, ([key, { kind }]) => {
        // No event lifts these, so that nothing need be remembered of one that is not denied: a read less to the kick.
        const pending = this.#projector.pending(key);
        if (pending !== undefined) return pending;
        const isNew = (kind === 'certificate' || kind === 'key') && !this.table.has(key, now);
        return isNew ? undefined : this.#collections.entries.get(key);
      }),
    );
    return new Map(found.flatMap((entry) => (entry === undefined ? [] : [[entry.key, stateOf(entry)]])));
  }

  /** @returns whether there was anything newer */
  async #readNewer(): Promise<boolean> {
    const before = this.number;
    for (;;) {
      const asOf = performance.now();
      const { items } = await this.#collections.changes.find({
        from: changeId(this.number + 1),
        limit: CHANGES_AT_ONCE,
      });
      for (const record of items) {
        if (record.number !== this.number + 1)
          throw new LedgerError(`change ${this.number + 1} is missing before change ${record.number}`);
        this.#take(record);
      }
      if (items.length > 0) this.#onNumber(this.number);
      if (items.length < CHANGES_AT_ONCE) {
        this.#confirmedAt = asOf;
        return this.number > before;
      }
      await this.#projector.settled();
    }
  }

  #take(record: ChangeRecord): void {
    this.#state.offer(record);
    this.#projector.add(record);
  }
}

export type LedgerOptions = {
  /** Unix ms. */
  readonly now: () => number;
  /** Hears the new number when the table has got changes, its own or those of others. */
  readonly onNumber: (number: number) => void;
};

/** The log of changes is not what it has to be. */
export class LedgerError extends Error {
  override readonly name = 'LedgerError';
  readonly code = 'gap';
}

function keyed(intent: Intent): KeyedIntent {
  return { ...intent, key: denyKey(intent.target) };
}

function stateOf({ key, target, holds, lifted }: DenyState): DenyState {
  return { key, target, holds, lifted };
}

/** Runs pieces of work one after the other, in the order in which they came. */
class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
