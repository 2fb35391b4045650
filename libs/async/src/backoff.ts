export type BackoffOptions = {
  /** The wait after the first failure, ms. */
  readonly firstMs: number;
  /** The longest wait, ms. */
  readonly lastMs: number;
  /** The share of each wait that is left to chance: 0.25 waits 75 to 100 % of it, 1 anything up to it. Default 0.25. */
  readonly jitter?: number;
  /** At least 0, less than 1. Default `Math.random`. */
  readonly random?: () => number;
};

/**
 * The wait after `failures` failures in a row (from 1), ms: doubles from `firstMs` to `lastMs`, less the jitter, which
 * keeps processes that failed together from trying again together.
 */
export function backoffMs(failures: number, options: BackoffOptions): number {
  const { firstMs, lastMs, jitter = 0.25, random = Math.random } = options;
  const full = Math.min(lastMs, firstMs * 2 ** Math.min(Math.max(failures - 1, 0), 30));
  return full * (1 - jitter * random());
}
