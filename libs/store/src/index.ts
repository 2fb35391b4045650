export { all } from './all.ts';
export { defineCollection } from './define-collection.ts';
export type { StoreOptions } from './document-store.ts';
export { insertIfAbsent, insertOrGet, isDuplicate, put } from './insert.ts';
export type { Log } from './log.ts';
export { type OpenStoreOptions, openStore } from './open.ts';
export type {
  Change,
  Collection,
  CollectionSpec,
  Index,
  Migration,
  Page,
  Publish,
  Query,
  Store,
  Stored,
  UpdateOptions,
} from './store.ts';
export { StoreError, type StoreErrorCode } from './store-error.ts';
export { unchanged } from './unchanged.ts';
