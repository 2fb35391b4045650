export { type DenyKeys, denyKey, type PeerFacts, peerDenyKeys } from './deny-key.ts';
export type {
  Admitting,
  DenyList,
  DenyListLog,
  DenyListOptions,
  DenyVerdict,
  LoadedDenyList,
} from './deny-list.ts';
export { DenyTable } from './deny-table.ts';
export { ListState } from './list-state.ts';
export { loadSnapshot } from './load-snapshot.ts';
export { packRecords, RECORD_OCTETS } from './packed-records.ts';
export { openDenyList } from './replica.ts';
export {
  type EndReason,
  type MinuteTicks,
  type SessionEntry,
  type SessionHandle,
  SessionIndex,
  type StartTimer,
} from './session-index.ts';
export { CacheError } from './snapshot-cache.ts';
export {
  type DenyListBus,
  type DenyListDigest,
  type DenyListHead,
  type DenyListSource,
  denyListSource,
  encodeDigest,
  encodeHead,
  parseDigest,
  parseHead,
  type SnapshotPage,
} from './source.ts';
