import type { RenewalPlan } from './renewal-plan.ts';

/** When to renew, kept up to date with what the server suggests; Unix milliseconds. Asking holds up nothing else. */
export class RenewalClock {
  readonly #ask: (() => Promise<RenewalPlan>) | undefined;
  readonly #report: (plan: RenewalPlan) => void;
  #due: number;
  #askAt: number;
  #isPostponed = false;
  #failure: { readonly error: unknown } | undefined;
  #changed = new AbortController();

  /** `fixed`: the time, where nobody is asked. */
  constructor(
    source: { readonly fixed: number } | { readonly ask: () => Promise<RenewalPlan> },
    report: (plan: RenewalPlan) => void,
  ) {
    this.#ask = 'ask' in source ? source.ask : undefined;
    this.#report = report;
    this.#due = 'fixed' in source ? source.fixed : Number.POSITIVE_INFINITY;
    this.#askAt = 'fixed' in source ? Number.POSITIVE_INFINITY : 0;
  }

  /** Whether it is time; asks again where that is due. */
  isDue(now: number): boolean {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (now >= this.#askAt && this.#ask !== undefined) this.#start(this.#ask);
    return now >= this.#due;
  }

  /** When to look again at the latest. */
  get next(): number {
    return Math.min(this.#due, this.#askAt);
  }

  /** Fires once there is something to look at before `next`. */
  get changed(): AbortSignal {
    this.#changed = new AbortController();
    return this.#changed.signal;
  }

  /** A renewal failed: it is tried at this time, whatever is suggested meanwhile. */
  postpone(until: number): void {
    this.#isPostponed = true;
    this.#due = until;
  }

  /** It is to be done now, whatever was planned. */
  hurry(): void {
    this.postpone(0);
    this.#changed.abort();
  }

  #start(ask: () => Promise<RenewalPlan>): void {
    this.#askAt = Number.POSITIVE_INFINITY;
    ask()
      .then((plan) => {
        this.#askAt = plan.askAgainAt;
        if (!this.#isPostponed) this.#due = plan.renewAt;
        this.#report(plan);
      })
      .catch((error: unknown) => {
        this.#failure = { error };
      })
      .finally(() => this.#changed.abort());
  }
}
