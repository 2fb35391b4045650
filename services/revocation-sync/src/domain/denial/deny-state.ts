import { Account, type DenyEntry, DenyTarget, PLATFORM_ACCOUNT, Time } from '@signet/contracts';
import { z } from 'zod';

/** One reason for denying a target. A target is denied while there is one that has not expired. */
export const Hold = z.object({
  /** What this is about; a later denial of the same cause takes the place of the earlier one. */
  cause: z.string(),
  /** Who said so, for operators. */
  source: z.string(),
  account: Account,
  reason: z.string(),
  since: Time,
  /** Unix seconds; 0 for never. */
  expiresAt: z.number().int().min(0),
  /** Number of the event, among those of its document, that denied it. */
  sequence: z.number().int().optional(),
  /** Number of the CRL that listed it first, decimal. */
  crlNumber: z.string().optional(),
});
export type Hold = z.infer<typeof Hold>;

/** Under what operators of an account deny and lift: a lift takes away what they said, never what a revocation did. */
export function operatorCause(account: string): string {
  return `operators of ${account}`;
}

/** What an operator's denial comes to. `now` in Unix ms. */
export function operatorHold(
  asked: {
    readonly account: string;
    readonly by: string;
    readonly reason: string;
    readonly expiresAt?: number | undefined;
    readonly askedAt?: string | undefined;
  },
  now: number,
): Hold {
  const { account, by, reason, expiresAt = 0, askedAt = new Date(now).toISOString() } = asked;
  return {
    cause: operatorCause(account),
    source: `operator ${by}`,
    account,
    reason,
    expiresAt,
    since: askedAt,
  };
}

/** All that is known of one target. */
export const DenyState = z.object({
  key: z.string(),
  target: DenyTarget,
  holds: z.array(Hold),
  /** Cause → number of the event that lifted it last: an earlier denial that comes late changes nothing. */
  lifted: z.record(z.string(), z.number().int()),
});
export type DenyState = z.infer<typeof DenyState>;

/** What is to be done to a target. */
export type Intent =
  | { readonly do: 'deny'; readonly target: DenyTarget; readonly hold: Hold }
  | {
      readonly do: 'lift';
      readonly target: DenyTarget;
      readonly cause: string;
      readonly sequence?: number | undefined;
    }
  /** The target changed hands at `until`: what operators of these accounts had said of it by then is over. */
  | { readonly do: 'end'; readonly target: DenyTarget; readonly whose: Whose; readonly until: string };

/** Of which accounts: of this one alone, or of all but this one. The platform's word stays in any case. */
export type Whose = { readonly of: string } | { readonly notOf: string };

/** An intent with the key of its target. */
export type KeyedIntent = Intent & { readonly key: string };

/** The state of a target of which nothing is known. */
export function freshState({ key, target }: KeyedIntent): DenyState {
  return { key, target, holds: [], lifted: {} };
}

/** @returns the state after the intent; the very same object if it changes nothing, as under redelivery */
export function applyIntent(state: DenyState, intent: Intent): DenyState {
  if (intent.do === 'end') return end(state, intent);
  return intent.do === 'deny' ? deny(state, intent.hold) : lift(state, intent.cause, intent.sequence);
}

function end(state: DenyState, { whose, until }: { whose: Whose; until: string }): DenyState {
  const isOver = ({ cause, account, since }: Hold) => {
    if (cause !== operatorCause(account) || account === PLATFORM_ACCOUNT || since > until) return false;
    return 'of' in whose ? account === whose.of : account !== whose.notOf;
  };
  const holds = state.holds.filter((hold) => !isOver(hold));
  return holds.length === state.holds.length ? state : { ...state, holds };
}

function deny(state: DenyState, hold: Hold): DenyState {
  const liftedAt = state.lifted[hold.cause];
  if (hold.sequence !== undefined && liftedAt !== undefined && hold.sequence < liftedAt) return state;
  const current = state.holds.find(({ cause }) => cause === hold.cause);
  if (current !== undefined && (isLater(current.sequence, hold.sequence) || isSame(current, hold)))
    return state;
  return { ...state, holds: [...state.holds.filter(({ cause }) => cause !== hold.cause), hold] };
}

function lift(state: DenyState, cause: string, sequence: number | undefined): DenyState {
  const current = state.holds.find((hold) => hold.cause === cause);
  if (isLater(current?.sequence, sequence)) return state;
  const lifted =
    sequence === undefined
      ? state.lifted
      : { ...state.lifted, [cause]: Math.max(sequence, state.lifted[cause] ?? 0) };
  if (current === undefined && lifted[cause] === state.lifted[cause]) return state;
  return { ...state, holds: state.holds.filter((hold) => hold !== current), lifted };
}

function isLater(held: number | undefined, said: number | undefined): boolean {
  return held !== undefined && said !== undefined && held > said;
}

function isSame(a: Hold, b: Hold): boolean {
  return (
    a.source === b.source &&
    a.account === b.account &&
    a.reason === b.reason &&
    a.expiresAt === b.expiresAt &&
    a.sequence === b.sequence
  );
}

/** The hold that denies for longest at `now` (Unix seconds), or undefined where nothing does. */
export function strongestHold(state: Pick<DenyState, 'holds'>, now: number): Hold | undefined {
  const end = ({ expiresAt }: Hold) => (expiresAt === 0 ? Number.POSITIVE_INFINITY : expiresAt);
  return state.holds
    .filter((hold) => end(hold) > now)
    .reduce<Hold | undefined>(
      (best, hold) => (best === undefined || end(hold) > end(best) ? hold : best),
      undefined,
    );
}

/** The entry of the deny list that follows from a state, if one does. */
export function entryOf(state: DenyState, now: number): z.infer<typeof DenyEntry> | undefined {
  const hold = strongestHold(state, now);
  if (hold === undefined) return undefined;
  return { key: state.key, kind: state.target.kind, reason: hold.reason, expiresAt: hold.expiresAt };
}
