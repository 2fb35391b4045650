/** How far wall clock and steady clock may part before the wall clock is taken for wrong. */
const TOLERANCE_MS = 3_600_000;

/**
 * Notices a wall clock that was set while this process runs. Nothing may be purged by one that jumped ahead: what it
 * takes for expired is gone for good. It is trusted again once it is back, or from the next start.
 */
export class SteadyClock {
  readonly #now: () => number;
  readonly #steady: () => number;
  readonly #ahead: number;

  /** Both in ms; `steady` never jumps. */
  constructor(now: () => number, steady: () => number = () => performance.now()) {
    this.#now = now;
    this.#steady = steady;
    this.#ahead = now() - steady();
  }

  /** By how many ms the wall clock has jumped; 0 within the tolerance. */
  jump(): number {
    const jump = this.#now() - this.#steady() - this.#ahead;
    return Math.abs(jump) > TOLERANCE_MS ? jump : 0;
  }
}
