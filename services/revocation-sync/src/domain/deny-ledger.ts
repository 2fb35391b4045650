import type { DenyState, Intent } from './deny-state.ts';

/** The deny list as its authority keeps it. */
export interface DenyLedger {
  /** Number of its last change. */
  readonly number: number;
  /**
   * Makes what is intended a change. Repeating it changes nothing.
   * @returns the number of a change at which it holds
   */
  append(intents: readonly Intent[]): Promise<number>;
  /** What is known of a target, by its key. */
  state(key: string): Promise<DenyState | undefined>;
  /** Resolves once the entries in the store have every change. */
  settled(): Promise<void>;
  /** A page of the snapshot as of change `number`, packed, in base64; undefined where `cursor` is none of a snapshot. */
  snapshot(
    cursor: string | undefined,
  ): { readonly number: number; readonly entries: string; readonly next?: string } | undefined;
}
