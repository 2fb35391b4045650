import type { SignetEvent } from '@signet/contracts';
import { declaredIndexes, keysOf, keysOutside } from './declared-indexes.ts';
import { IdQueue } from './id-queue.ts';
import { endOfPrefix, fillerKey } from './index-key.ts';
import { AGAIN, optimistically } from './optimistic.ts';
import { cursorAfter, limitOf, rangeOf, resume } from './query.ts';
import type { DocumentRecord, RecordTable } from './record.ts';
import type { Change, Collection, CollectionSpec, Page, Query, Stored, UpdateOptions } from './store.ts';
import { StoreError } from './store-error.ts';
import { validate } from './validate.ts';

const APPLIED_LIMIT = 64;

export type CollectionParts<T extends Stored, I extends string> = {
  readonly spec: CollectionSpec<T, I>;
  readonly table: RecordTable;
  /** Told after each write that left events in a document's outbox: those of the write, numbered. */
  readonly onOutbox: (id: string, events: readonly SignetEvent[]) => void;
};

/** A collection on any engine: validation, versions, events and queries, over the engine's records. */
export class DocumentCollection<T extends Stored, I extends string> implements Collection<T, I> {
  readonly #spec: CollectionSpec<T, I>;
  readonly #table: RecordTable;
  readonly #onOutbox: CollectionParts<T, I>['onOutbox'];
  readonly #writes = new IdQueue();

  constructor({ spec, table, onOutbox }: CollectionParts<T, I>) {
    this.#spec = spec;
    this.#table = table;
    this.#onOutbox = onOutbox;
  }

  async get(id: string): Promise<T | undefined> {
    return (await this.#table.get(id)) as T | undefined;
  }

  async insert(document: T, events: readonly SignetEvent[] = []): Promise<void> {
    const valid = validate(this.#spec, document);
    const { id } = valid;
    await this.#writes.run(id, () =>
      optimistically(this.#name(id), async () => {
        const fresh = this.#next(newRecord(id), valid, events);
        const outcome = await this.#table.insert(fresh);
        if (outcome === 'written') return this.#written(fresh, events);
        const present = await this.#table.read(id);
        if (present === undefined) {
          await this.#refuseTakenKey(fresh);
          return AGAIN;
        }
        if (!present.removed) {
          throw new StoreError('duplicate', `${this.#name(id)}: the id is taken`, { index: 'id' });
        }
        return this.#replace(present, this.#next({ ...present, applied: [] }, valid, events), events);
      }),
    );
  }

  update(id: string, change: (current: T) => Change<T> | undefined, options: UpdateOptions = {}): Promise<T> {
    const { appliedEvent } = options;
    return this.#writes.run(id, () =>
      optimistically(this.#name(id), async () => {
        const record = await this.#table.read(id);
        if (record === undefined || record.removed) {
          throw new StoreError('not-found', `${this.#name(id)}: there is no such document`);
        }
        const current = record.document as T;
        if (appliedEvent !== undefined && record.applied.includes(appliedEvent)) return current;
        const made = change(current);
        if (made === undefined) return current;
        const document = validate(this.#spec, made.document);
        if (document.id !== id)
          throw new StoreError('invalid-document', `${this.#name(id)}: id: must not change`);
        const applied =
          appliedEvent === undefined
            ? record.applied
            : [...record.applied, appliedEvent].slice(-APPLIED_LIMIT);
        const next = this.#next({ ...record, applied }, document, made.events ?? []);
        return (await this.#replace(record, next, made.events ?? [])) === AGAIN ? AGAIN : document;
      }),
    );
  }

  remove(id: string, condition: (current: T) => boolean = () => true): Promise<boolean> {
    return this.#writes.run(id, () =>
      optimistically(this.#name(id), async () => {
        const record = await this.#table.read(id);
        if (record === undefined || record.removed || !condition(record.document as T)) return false;
        if (record.outbox.length === 0) {
          return (await this.#table.erase(id, record.version)) === 'written' ? true : AGAIN;
        }

        const keys = keysOutside(this.#spec, id);
        const hidden = { ...record, removed: true, keys, version: record.version + 1 };
        return (await this.#replace(record, hidden, record.outbox)) === AGAIN ? AGAIN : true;
      }),
    );
  }

  async find(query: Query<T, I> = {}): Promise<Page<T>> {
    const limit = limitOf(query.limit);
    const descending = query.descending === true;
    const range = resume(rangeOf(this.#spec, query), query.cursor, descending);
    const found = await this.#table.scan(range, { descending, limit: limit + 1 });
    const items = found.slice(0, limit).map(({ document }) => document as T);
    const last = found[limit - 1];
    return found.length > limit && last !== undefined ? { items, next: cursorAfter(last.key) } : { items };
  }

  async count(query: Query<T, I> = {}): Promise<number> {
    return this.#table.count(rangeOf(this.#spec, query));
  }

  /** Takes published events out of a document's outbox; a removed document goes with the last of them. */
  async settle(id: string, published: ReadonlySet<string>): Promise<void> {
    await this.#writes.run(id, () =>
      optimistically(this.#name(id), async () => {
        const record = await this.#table.read(id);
        if (record === undefined) return;
        const outbox = record.outbox.filter((event) => !published.has(event.id));
        if (outbox.length === record.outbox.length) return;
        const outcome =
          record.removed && outbox.length === 0
            ? await this.#table.erase(id, record.version)
            : await this.#table.replace({ ...record, outbox, version: record.version + 1 }, record);
        return outcome === 'written' ? undefined : AGAIN;
      }),
    );
  }

  async #replace(
    before: DocumentRecord,
    next: DocumentRecord,
    events: readonly SignetEvent[],
  ): Promise<undefined | typeof AGAIN> {
    const outcome = await this.#table.replace(next, before);
    if (outcome === 'written') return this.#written(next, events);
    if (outcome === 'duplicate') await this.#refuseTakenKey(next);
    return AGAIN;
  }

  #written(record: DocumentRecord, events: readonly SignetEvent[]): undefined {
    if (events.length > 0) this.#onOutbox(record.id, record.outbox.slice(-events.length));
  }

  /** Who holds a unique key is looked up; if nobody does any more, the write is tried again. */
  async #refuseTakenKey(record: DocumentRecord): Promise<void> {
    for (const { name, column, unique } of declaredIndexes(this.#spec)) {
      const key = record.keys[column];
      if (!unique || key === undefined || key === fillerKey(record.id)) continue;
      const range = { column, from: { key, exclusive: false }, to: endOfPrefix(key) };
      const [holder] = await this.#table.scan(range, { descending: false, limit: 1 });
      if (holder !== undefined && holder.document.id !== record.id) {
        const fields = this.#spec.indexes[name].fields.join(', ');
        throw new StoreError('duplicate', `${this.#name(record.id)}: ${fields}: taken by another document`, {
          index: name,
        });
      }
    }
  }

  #next(record: DocumentRecord, document: T, events: readonly SignetEvent[]): DocumentRecord {
    const numbered = events.map((event, i) => ({ ...event, sequence: record.sequence + 1 + i }));
    return {
      ...record,
      version: record.version + 1,
      removed: false,
      document,
      keys: keysOf(this.#spec, document),
      sequence: record.sequence + events.length,
      outbox: [...record.outbox, ...numbered],
    };
  }

  #name(id: string): string {
    return `${this.#spec.name} "${id}"`;
  }
}

/** Versions start anywhere, so that a document that takes a removed one's id never passes for it. */
function newRecord(id: string): DocumentRecord {
  return {
    id,
    version: Math.floor(Math.random() * 2 ** 40),
    removed: false,
    document: { id },
    keys: {},
    sequence: 0,
    applied: [],
    outbox: [],
  };
}
