import type { SignetEvent } from '@signet/contracts';
import type { z } from 'zod';

/** A stored document is a plain JSON object with a string id of at most 512 characters. */
export type Stored = { readonly id: string };

/**
 * An index over top-level fields (strings, finite numbers, booleans). A document that lacks one of them is not in it.
 * Order is that of the field values: strings by code point, numbers by size.
 */
export type Index<T> = { readonly fields: readonly (keyof T & string)[]; readonly unique?: boolean };

/**
 * A step that brings documents of earlier releases to what this one writes. `document` gets one as it lies there, which
 * need not fit the schema, and returns what it shall be, or undefined where nothing is to be done. It must be pure, keep
 * the id, and leave alone what it and later steps made: it meets documents twice where a process is killed half-way, or
 * two start at once. The schema holds after the last step.
 */
export type Migration = {
  /** Recorded in the data: never renamed, once released. */
  readonly name: string;
  document(before: Stored & Readonly<Record<string, unknown>>): Stored | undefined;
};

/** Declares a collection. `name` is `<service>.<plural>`, e.g. `bootstrap.devices`. */
export type CollectionSpec<T extends Stored, I extends string = string> = {
  readonly name: string;
  readonly schema: z.ZodType<T>;
  readonly indexes: Readonly<Record<I, Index<T>>>;
  /** Steps since the first release, the oldest first; new ones go to the end, and none is ever taken out. */
  readonly migrations?: readonly Migration[];
};

/** What an update makes of a document. Events are written in the same document write and published after it. */
export type Change<T> = { readonly document: T; readonly events?: readonly SignetEvent[] };

export type UpdateOptions = {
  /**
   * Id of the event whose effect this update is. If the document has that id among the last 64 that it applied, the
   * update does nothing; else the id is written together with the effect. This is what makes consumers idempotent.
   */
  readonly appliedEvent?: string;
};

/**
 * A query by one index: `equals` gives its leading fields; `prefix`, or `from` (inclusive) and `to` (exclusive),
 * may narrow the next one. Without `index` it goes by id.
 */
export type Query<T, I extends string = string> = {
  readonly index?: I;
  readonly equals?: Partial<T>;
  readonly prefix?: string;
  readonly from?: string | number;
  readonly to?: string | number;
  readonly descending?: boolean;
  /** 1 to 1000; default 100. */
  readonly limit?: number;
  /** `next` of the page before. */
  readonly cursor?: string;
};

export type Page<T> = { readonly items: readonly T[]; readonly next?: string };

/** A collection of documents, each with its version and its outbox. Documents are validated on every write. */
export interface Collection<T extends Stored, I extends string = string> {
  get(id: string): Promise<T | undefined>;
  /** @throws StoreError `duplicate` (its `index` says which, `id` for the id itself) */
  insert(document: T, events?: readonly SignetEvent[]): Promise<void>;
  /**
   * Optimistic: reads, calls `change`, writes if the version is still the same, else repeats. `change` may return
   * undefined for "leave it as it is". It must be pure: it can be called several times. The id must not change.
   * @returns the document as it stands afterwards
   * @throws StoreError `not-found`, `duplicate`; whatever `change` throws passes through
   */
  update(id: string, change: (current: T) => Change<T> | undefined, options?: UpdateOptions): Promise<T>;
  /**
   * Hidden at once; gone for good as soon as its outbox is published. Absent documents are ignored. As optimistic as
   * `update`: `condition` is asked about the very version that goes, so that whoever removes what it read before does not
   * remove what somebody has changed since. It must be pure.
   * @returns whether the document was there, met the condition, and was removed
   * @throws whatever `condition` throws passes through, and the document stays
   */
  remove(id: string, condition?: (current: T) => boolean): Promise<boolean>;
  find(query?: Query<T, I>): Promise<Page<T>>;
  count(query?: Query<T, I>): Promise<number>;
}

/** Hands events to the bus; resolves once the bus has stored them. The head of a document's outbox comes first. */
export type Publish = (events: readonly SignetEvent[]) => Promise<void>;

export interface Store extends AsyncDisposable {
  /** Creates indexes that are missing. Calling it twice with one name gives the same collection. */
  collection<T extends Stored, I extends string>(spec: CollectionSpec<T, I>): Promise<Collection<T, I>>;
  /** Undefined while the engine answers, else what is wrong. Feeds `/ready`. */
  failure(): string | undefined;
  /** For how long the oldest event that the bus does not have yet has been waiting here, ms; 0 where none is. */
  unsentMs(): number;
  /**
   * Between which times the clock of the engine's server stands, Unix ms: how far they are apart is how long its answer
   * took. Undefined where there is no server, or it has not said.
   */
  serverTime(): { readonly earliest: number; readonly latest: number } | undefined;
}
