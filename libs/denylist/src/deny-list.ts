import type { DenyKind } from '@signet/contracts';
import type { DenyKeys, PeerFacts } from './deny-key.ts';
import type { SessionIndex } from './session-index.ts';
import type { DenyListSource } from './source.ts';

export type DenyListLog = {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
};

export type DenyListOptions = {
  readonly source: DenyListSource;
  /** Where every session is entered before it is checked; this list ends those that it denies. */
  readonly sessions: SessionIndex;
  /** Keeps the last list, for a start while the authority is unavailable. */
  readonly cacheFile?: string | undefined;
  /** How old that list may be, in ms, until the authority is heard. Default `staleAfterMs`. */
  readonly cacheMaxAgeMs?: number | undefined;
  /** How long the list may be behind the authority, in ms, before it is stale. */
  readonly staleAfterMs: number;
  /** Whether a stale list admits nobody. Default true. */
  readonly refuseWhenStale?: boolean | undefined;
  /** How long a missing change may take before it is asked for, in ms. Default 1000. */
  readonly reorderMs?: number | undefined;
  /** Hears the number at which the list was found to differ from its authority's. */
  readonly onMismatch?: ((number: number) => void) | undefined;
  /** Hears how many denials its authority had lost when it came back: they are kept. */
  readonly onKept?: ((entries: number) => void) | undefined;
  /** Unix ms. */
  readonly now: () => number;
  readonly log: DenyListLog;
};

/** The kind by which a peer is denied, or 'clear'. */
export type DenyVerdict = 'clear' | { readonly denied: DenyKind };

/** A list that may decide about a peer: the only one that can say 'clear'. */
export type LoadedDenyList = { check(keys: DenyKeys): DenyVerdict };

export type Admitting =
  | { readonly ok: true; readonly list: LoadedDenyList }
  | {
      readonly ok: false;
      readonly code: 'denylist-not-loaded' | 'denylist-stale';
      readonly message: string;
    };

export interface DenyList extends AsyncDisposable {
  /** Whether new connections may be taken at all; also feeds `/ready`. */
  admitting(): Admitting;
  /** Why this peer is denied, or undefined. While the list is not loaded, everybody is. */
  denied(facts: PeerFacts): string | undefined;
  /** `behind`: no head of the authority within the bound, or one beyond what is held. */
  state(): 'loading' | 'current' | 'behind';
  /** Number of the last change held; 0 while loading. */
  number(): number;
  /** Entries held. */
  size(): number;
  /** How it differed from its authority's when they were compared last; undefined where it did not. */
  mismatch(): string | undefined;
  /** Denials kept here that its authority has lost. */
  kept(): number;
  /** That there are such, or undefined. */
  alarm(): string | undefined;
  /** Seconds since nothing was missing; infinite while loading. */
  lagSeconds(): number;
  /** Resolves once there is a list, be it out of the cache; rejects if the list is closed before. */
  whenLoaded(): Promise<void>;
}
