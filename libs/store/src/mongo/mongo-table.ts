import type { SignetEvent } from '@signet/contracts';
import type { Collection, Filter } from 'mongodb';
import type { DocumentRecord, KeyColumn, KeyRange, RecordTable, WriteOutcome } from '../record.ts';
import type { Stored } from '../store.ts';
import { escapeKeys, unescapeKeys } from './bson-keys.ts';
import { isDuplicateKey, isInternalError, storeErrorOf } from './store-error-of.ts';

/** A document as it lies in MongoDB; field names below `document` and `outbox` are escaped (bson-keys.ts). */
type Filed = {
  readonly _id: string;
  readonly version: number;
  readonly removed: boolean;
  readonly sequence: number;
  readonly document: unknown;
  readonly applied: readonly string[];
  readonly outbox: readonly unknown[];
  /** Whether the outbox holds events. */
  readonly pending: boolean;
  readonly keys: Readonly<Record<string, string>>;
};

const OUTBOX_INDEX = 'outbox';

function keyPath(column: string): string {
  return `keys.${column}`;
}

/** A collection of MongoDB. Every operation touches one document, by id or by one index. */
export class MongoTable implements RecordTable {
  readonly #collection: Collection<Filed>;
  readonly #isClosed: () => boolean;
  #uniqueColumns: readonly string[] = [];
  #presentIndexes: ReadonlySet<string> = new Set();

  constructor(collection: Collection<Filed>, isClosed: () => boolean) {
    this.#collection = collection;
    this.#isClosed = isClosed;
  }

  async create(columns: readonly KeyColumn[]): Promise<void> {
    this.#uniqueColumns = columns.filter(({ unique }) => unique).map(({ name }) => name);
    await this.#ask(() => this.#collection.createIndex({ pending: 1, _id: 1 }, { name: OUTBOX_INDEX }));
    const indexes = await this.#ask(() => this.#collection.listIndexes().toArray());
    this.#presentIndexes = new Set(indexes.map(({ name }) => String(name)));
  }

  async index(columns: readonly KeyColumn[]): Promise<KeyColumn | undefined> {
    for (const column of columns) {
      const path = keyPath(column.name);
      if (this.#presentIndexes.has(path)) continue;
      try {
        await this.#collection.createIndex({ [path]: 1 }, { name: path, unique: true, sparse: true });
      } catch (error) {
        if (isDuplicateKey(error)) return column;
        if (isInternalError(error) && (await this.#hasDuplicates(path))) return column;
        throw storeErrorOf(error, this.#isClosed());
      }
    }
    return undefined;
  }

  /** An index is made once all documents have its key, so only a missing one is worth the search. */
  async unkeyed(column: string, limit: number): Promise<readonly string[]> {
    if (this.#presentIndexes.has(keyPath(column))) return [];
    return this.#ids({ [keyPath(column)]: { $exists: false } }, limit);
  }

  async read(id: string): Promise<DocumentRecord | undefined> {
    const filed = await this.#ask(() => this.#collection.findOne({ _id: id }));
    if (filed === null) return undefined;
    const { version, removed, sequence, applied, keys } = filed;
    return {
      id,
      version,
      removed,
      sequence,
      applied,
      keys,
      document: unescapeKeys(filed.document) as Stored,
      outbox: unescapeKeys(filed.outbox) as SignetEvent[],
    };
  }

  async get(id: string): Promise<Stored | undefined> {
    const projection = { document: 1, removed: 1 };
    const filed = await this.#ask(() => this.#collection.findOne({ _id: id }, { projection }));
    return filed === null || filed.removed ? undefined : (unescapeKeys(filed.document) as Stored);
  }

  async insert(record: DocumentRecord): Promise<WriteOutcome> {
    return this.#write(record, async () => {
      await this.#collection.insertOne(filedOf(record));
      return 1;
    });
  }

  async replace(record: DocumentRecord): Promise<WriteOutcome> {
    const { _id, ...replacement } = filedOf(record);
    return this.#write(record, async () => {
      const result = await this.#collection.replaceOne({ _id, version: record.version - 1 }, replacement);
      return result.matchedCount;
    });
  }

  async erase(id: string, version: number): Promise<WriteOutcome> {
    const result = await this.#ask(() => this.#collection.deleteOne({ _id: id, version }));
    return result.deletedCount === 1 ? 'written' : 'changed';
  }

  async scan(
    range: KeyRange,
    { descending, limit }: { readonly descending: boolean; readonly limit: number },
  ): Promise<readonly { readonly key: string; readonly document: Stored }[]> {
    const { column } = range;
    const path = column === undefined ? '_id' : keyPath(column);
    const found = await this.#ask(() =>
      this.#collection
        .find(filterOf(range), {
          sort: { [path]: descending ? -1 : 1 },
          limit,
          projection: { document: 1, ...(column === undefined ? {} : { [path]: 1 }) },
        })
        .toArray(),
    );
    return found.map(({ _id, keys, document }) => ({
      key: column === undefined ? _id : (keys[column] ?? ''),
      document: unescapeKeys(document) as Stored,
    }));
  }

  async count(range: KeyRange): Promise<number> {
    return this.#ask(() => this.#collection.countDocuments(filterOf(range)));
  }

  async pending(after: string, limit: number): Promise<readonly string[]> {
    return this.#ids({ pending: true, _id: { $gt: after } }, limit);
  }

  async #ids(filter: Filter<Filed>, limit: number): Promise<readonly string[]> {
    const found = await this.#ask(() =>
      this.#collection.find(filter, { sort: { _id: 1 }, limit, projection: { _id: 1 } }).toArray(),
    );
    return found.map(({ _id }) => _id);
  }

  async #write(record: DocumentRecord, attempt: () => Promise<number>): Promise<WriteOutcome> {
    try {
      return (await attempt()) === 1 ? 'written' : 'changed';
    } catch (error) {
      if (isDuplicateKey(error)) return 'duplicate';
      if (isInternalError(error) && (await this.#isKeyTaken(record))) return 'duplicate';
      throw storeErrorOf(error, this.#isClosed());
    }
  }

  async #isKeyTaken(record: DocumentRecord): Promise<boolean> {
    for (const column of this.#uniqueColumns) {
      const key = record.keys[column];
      if (key === undefined) continue;
      const holder = await this.#ask(() => this.#collection.findOne({ [keyPath(column)]: key }));
      if (holder !== null && holder._id !== record.id) return true;
    }
    return false;
  }

  async #hasDuplicates(path: string): Promise<boolean> {
    const groups = [
      { $group: { _id: `$${path}`, n: { $sum: 1 } } },
      { $match: { n: { $gt: 1 } } },
      { $limit: 1 },
    ];
    const found = await this.#ask(() => this.#collection.aggregate(groups).toArray());
    return found.length > 0;
  }

  async #ask<R>(operation: () => Promise<R>): Promise<R> {
    try {
      return await operation();
    } catch (error) {
      throw storeErrorOf(error, this.#isClosed());
    }
  }
}

function filedOf(record: DocumentRecord): Filed {
  const { id, version, removed, sequence, applied, keys } = record;
  return {
    _id: id,
    version,
    removed,
    sequence,
    applied,
    keys,
    document: escapeKeys(record.document),
    outbox: escapeKeys(record.outbox) as unknown[],
    pending: record.outbox.length > 0,
  };
}

function filterOf({ column, from, to }: KeyRange): Filter<Filed> {
  const bounds = {
    ...(from === undefined ? {} : { [from.exclusive ? '$gt' : '$gte']: from.key }),
    ...(to === undefined ? {} : { $lt: to }),
  };
  if (from === undefined && to === undefined) return { removed: false };
  return { removed: false, [column === undefined ? '_id' : keyPath(column)]: bounds };
}
