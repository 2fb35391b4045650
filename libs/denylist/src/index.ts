export { type DenyKeys, denyKey, type PeerFacts, peerDenyKeys } from './deny-key.ts';
export type {
  Admitting,
  DenyList,
  DenyListLog,
  DenyListOptions,
  DenyVerdict,
  LoadedDenyList,
} from './deny-list.ts';
export { DenyTable, packRecords, RECORD_OCTETS } from './deny-table.ts';
export { openDenyList } from './replica.ts';
export {
  type EndReason,
  type SessionEntry,
  type SessionHandle,
  SessionIndex,
  type StartTimer,
} from './session-index.ts';
export { CacheError } from './snapshot-cache.ts';
export {
  type DenyListBus,
  type DenyListSource,
  denyListSource,
  encodeHead,
  parseHead,
  type SnapshotPage,
} from './source.ts';
