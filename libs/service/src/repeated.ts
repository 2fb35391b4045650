import { type Repetition, repeatedly as repeat } from '@signet/async';

export type { Repetition };

/** As `repeatedly` of `@signet/async`, at once and then every `ms`: for callers that are not moved to it yet. */
export function repeatedly(
  ms: number,
  work: () => Promise<void>,
  onError: (error: unknown) => void,
): Repetition {
  return repeat(work, { everyMs: ms, onError });
}
