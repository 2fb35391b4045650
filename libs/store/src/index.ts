export type {
  Change,
  Collection,
  CollectionSpec,
  Index,
  Page,
  Publish,
  Query,
  Store,
  Stored,
  UpdateOptions,
} from './store.ts';
export { StoreError, type StoreErrorCode } from './store-error.ts';
