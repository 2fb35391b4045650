import type { SignetEvent } from '@signet/contracts';
import type { Stored } from './store.ts';

/** A document as an engine keeps it. */
export type DocumentRecord = {
  readonly id: string;
  /** Grows by one with every write. */
  readonly version: number;
  /** Removed, but for events that are still to be published. */
  readonly removed: boolean;
  readonly document: Stored;
  /** Key column → key (see index-key.ts). */
  readonly keys: Readonly<Record<string, string>>;
  /** `sequence` of the latest event. */
  readonly sequence: number;
  /** Ids of the events that were applied last, the latest at the end. */
  readonly applied: readonly string[];
  /** Events that are not known to be published, in their order. */
  readonly outbox: readonly SignetEvent[];
};

/** A part of a key column, or of the ids where there is no column. Text compares by code point. */
export type KeyRange = {
  readonly column: string | undefined;
  readonly from?: { readonly key: string; readonly exclusive: boolean };
  /** Exclusive. */
  readonly to?: string;
};

export type KeyColumn = { readonly name: string; readonly unique: boolean };

/** `changed`: the version is not the one that was expected. `duplicate`: the id or a unique key is taken. */
export type WriteOutcome = 'written' | 'changed' | 'duplicate';

/** What an engine has to do for a collection. All of it may throw StoreError `unavailable` or `closed`. */
export interface RecordTable {
  /** Makes room for documents and their keys. */
  create(columns: readonly KeyColumn[]): Promise<void>;
  /** Indexes the key columns. @returns the unique column that has duplicates, if one has */
  index(columns: readonly KeyColumn[]): Promise<KeyColumn | undefined>;
  /** Ids of records without a key in `column`. */
  unkeyed(column: string, limit: number): Promise<readonly string[]>;
  read(id: string): Promise<DocumentRecord | undefined>;
  /** The document alone, unless it was removed. */
  get(id: string): Promise<Stored | undefined>;
  insert(record: DocumentRecord): Promise<WriteOutcome>;
  /** Writes if the stored version is the one before the record's. `before`: that version, where the caller has it. */
  replace(record: DocumentRecord, before?: DocumentRecord): Promise<WriteOutcome>;
  erase(id: string, version: number): Promise<WriteOutcome>;
  /** Documents that are not removed, with their key (or id), in the order of the keys. */
  scan(
    range: KeyRange,
    options: { readonly descending: boolean; readonly limit: number },
  ): Promise<readonly { readonly key: string; readonly document: Stored }[]>;
  count(range: KeyRange): Promise<number>;
  /** Ids after `after` of records whose outbox is not empty, in the order of the ids. */
  pending(after: string, limit: number): Promise<readonly string[]>;
}
