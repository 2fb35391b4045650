import type { RenewalPlan } from './renewal-plan.ts';

/**
 * When to renew, kept up to date with what the server suggests. A certificate's time is one of the clock; what is waited
 * for (the next question, the next try) is counted in ticks, which no setting of the clock moves. Asking holds up nothing
 * else.
 */
export class RenewalClock {
  readonly #ask: (() => Promise<RenewalPlan>) | undefined;
  readonly #report: (plan: RenewalPlan) => void;
  readonly #now: () => number;
  readonly #ticks: () => number;
  /** Unix ms. */
  #due: number;
  /** In ticks, as is `#askAt`: it counts instead of `#due`. */
  #postponed: number | undefined;
  #askAt: number;
  #failure: { readonly error: unknown } | undefined;
  #changed = new AbortController();

  /** `fixed`: the time, Unix ms, where nobody is asked. */
  constructor(
    source: { readonly fixed: number } | { readonly ask: () => Promise<RenewalPlan> },
    report: (plan: RenewalPlan) => void,
    { now, ticks }: { readonly now: () => number; readonly ticks: () => number },
  ) {
    this.#ask = 'ask' in source ? source.ask : undefined;
    this.#report = report;
    this.#now = now;
    this.#ticks = ticks;
    this.#due = 'fixed' in source ? source.fixed : Number.POSITIVE_INFINITY;
    this.#askAt = 'fixed' in source ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  }

  /** Whether it is time; asks again where that is due. */
  isDue(): boolean {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#ticks() >= this.#askAt && this.#ask !== undefined) this.#start(this.#ask);
    return this.#untilDue <= 0;
  }

  /** After how many ms to look again at the latest. */
  get waitMs(): number {
    return Math.max(Math.min(this.#untilDue, this.#askAt - this.#ticks()), 0);
  }

  /** Fires once there is something to look at before. */
  get changed(): AbortSignal {
    this.#changed = new AbortController();
    return this.#changed.signal;
  }

  /** A renewal failed: it is tried again after so many ms, whatever is suggested meanwhile. */
  postpone(ms: number): void {
    this.#postponed = this.#ticks() + ms;
  }

  /** It is to be done now, whatever was planned. */
  hurry(): void {
    this.postpone(0);
    this.#changed.abort();
  }

  get #untilDue(): number {
    return this.#postponed === undefined ? this.#due - this.#now() : this.#postponed - this.#ticks();
  }

  #start(ask: () => Promise<RenewalPlan>): void {
    this.#askAt = Number.POSITIVE_INFINITY;
    ask()
      .then((plan) => {
        this.#askAt = this.#ticks() + plan.askAgainMs;
        this.#due = plan.renewAt;
        this.#report(plan);
      })
      .catch((error: unknown) => {
        this.#failure = { error };
      })
      .finally(() => this.#changed.abort());
  }
}
