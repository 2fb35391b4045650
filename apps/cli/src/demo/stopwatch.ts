/** Latencies of named steps, in ms. */
export class Stopwatch {
  readonly #times = new Map<string, number[]>();

  /** Times one run of a step. A run that fails is not counted. */
  async time<T>(step: string, run: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await run();
    this.add(step, performance.now() - start);
    return result;
  }

  add(step: string, ms: number): void {
    this.#times.set(step, [...(this.#times.get(step) ?? []), ms]);
  }

  count(step: string): number {
    return this.#times.get(step)?.length ?? 0;
  }

  /** The percentiles that people ask for, rounded to a tenth of a millisecond. */
  summary(step: string): { count: number; p50: number; p99: number } {
    const sorted = [...(this.#times.get(step) ?? [])].sort((a, b) => a - b);
    return { count: sorted.length, p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) };
  }
}

/** Nearest-rank percentile of sorted values; 0 where there are none. */
function percentile(sorted: readonly number[], rank: number): number {
  const value = sorted[Math.max(Math.ceil(sorted.length * rank) - 1, 0)] ?? 0;
  return Math.round(value * 10) / 10;
}
