import { DenyTable, packRecords, RECORD_OCTETS } from '@signet/denylist';
import { isDuplicate, StoreError, unchanged } from '@signet/store';
import { type DenyState, entryOf } from '../denial/deny-state.ts';
import {
  type ChangeRecord,
  changeId,
  type Entries,
  type EntryRecord,
  entryRecord,
  type LedgerCollections,
  type Progress,
} from './records.ts';

/** Entries written, or read, at the same time. */
const AT_ONCE = 100;
const PAGE = 1000;

/**
 * Unix seconds up to which expired entries are dropped from a table, at `now` (Unix ms): the last full hour, so that
 * replicas of the authority mostly have the same, and their tables the same digest.
 */
export function purgeHorizon(now: number): number {
  return Math.floor(now / 3_600_000) * 3600;
}

/** Brings the entries up to a change. Entries that have it, or a later one, stay as they are. */
export async function projectChange(entries: Entries, change: ChangeRecord): Promise<void> {
  const now = Math.floor(Date.parse(change.at) / 1000);
  for (let i = 0; i < change.states.length; i += AT_ONCE) {
    const states = change.states.slice(i, i + AT_ONCE);
    await Promise.all(states.map((state) => put(entries, entryRecord(state, change.number, now))));
  }
}

async function put(entries: Entries, entry: EntryRecord): Promise<void> {
  for (;;) {
    try {
      if ((await entries.get(entry.id)) === undefined) await entries.insert(entry);
      else
        await entries.update(entry.id, (current) =>
          current.number >= entry.number ? undefined : { document: entry },
        );
      return;
    } catch (error) {
      const isRace =
        error instanceof StoreError && (error.code === 'duplicate' || error.code === 'not-found');
      if (!isRace) throw error;
    }
  }
}

/**
 * The table of all entries, and the number up to which they have every change. Some may have later ones: applying those
 * again makes no difference.
 */
export async function loadEntries(
  { entries, progress }: LedgerCollections,
  now: () => number,
): Promise<{ table: DenyTable; number: number }> {
  const number = (await progress.get('entries'))?.number ?? 0;
  const horizon = purgeHorizon(now());
  const pages: Uint8Array[] = [];
  let cursor: string | undefined;
  do {
    const page = await entries.find({ limit: PAGE, ...(cursor === undefined ? {} : { cursor }) });
    pages.push(packRecords(page.items.flatMap((entry) => entryOf(entry, horizon) ?? [])));
    cursor = page.next;
  } while (cursor !== undefined);
  const table = new DenyTable(pages.reduce((sum, page) => sum + page.byteLength, 0) / RECORD_OCTETS);
  for (const page of pages) table.load(page);
  table.purge(horizon);
  return { table, number };
}

/** Notes that the entries have every change up to `number`: what the next start need not read again. */
export async function noteProgress(progress: Progress, number: number): Promise<void> {
  const id = 'entries';
  if ((await progress.get(id)) === undefined) {
    try {
      return await progress.insert({ id, number });
    } catch (error) {
      if (!isDuplicate(error)) throw error;
    }
  }
  await progress.update(id, (current) =>
    current.number >= number ? undefined : { document: { id, number } },
  );
}

/** Removes entries that have been over for a day at `now` (Unix seconds). @returns how many */
export async function purgeEntries(entries: Entries, now: number): Promise<number> {
  for (let removed = 0; ; ) {
    const { items } = await entries.find({ index: 'byPurge', to: now, limit: PAGE });
    for (let i = 0; i < items.length; i += AT_ONCE)
      // one that is denied anew since stays
      removed += (
        await Promise.all(items.slice(i, i + AT_ONCE).map((read) => entries.remove(read.id, unchanged(read))))
      ).filter(Boolean).length;
    if (items.length < PAGE) return removed;
  }
}

/** Removes changes from before `before` (Unix ms) that every entry has; the last `keep` stay. @returns how many */
export async function trimChanges(
  { changes, progress }: LedgerCollections,
  before: number,
  keep = 1000,
): Promise<number> {
  const projected = (await progress.get('entries'))?.number ?? 0;
  for (let removed = 0; ; ) {
    const { items } = await changes.find({ to: changeId(Math.max(1, projected - keep)), limit: AT_ONCE });
    const old = items.filter(({ at }) => Date.parse(at) < before);
    await Promise.all(old.map(({ id }) => changes.remove(id)));
    removed += old.length;
    if (old.length < AT_ONCE) return removed;
  }
}

/** Writes changes into the entries, one after the other, while the next are made: a kick does not wait for it. */
export class Projector {
  readonly #entries: Entries;
  readonly #waiting: ChangeRecord[] = [];
  /** What the waiting changes leave, by key. */
  readonly #states = new Map<string, { readonly state: DenyState; readonly number: number }>();
  #running: Promise<void> | undefined;

  constructor(entries: Entries) {
    this.#entries = entries;
  }

  /** Changes that the entries do not have yet. */
  get backlog(): number {
    return this.#waiting.length;
  }

  add(record: ChangeRecord): void {
    this.#waiting.push(record);
    for (const state of record.states) this.#states.set(state.key, { state, number: record.number });
  }

  /** The state that a waiting change leaves; undefined where none is about this key: the entries have it. */
  pending(key: string): DenyState | undefined {
    return this.#states.get(key)?.state;
  }

  /** Resolves once nothing waits. What fails is tried again by the next call. */
  settled(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      const [record] = this.#waiting;
      if (record === undefined) return;
      await projectChange(this.#entries, record);
      this.#waiting.shift();
      for (const { key } of record.states)
        if (this.#states.get(key)?.number === record.number) this.#states.delete(key);
    }
  }
}
