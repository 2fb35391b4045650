import { withDeadline } from '@signet/async';

/** What a check found: nothing wrong, why the process is not ready, or what operators should know although it is. */
export type CheckResult = string | { readonly warning: string } | undefined;
export type Check = () => CheckResult | Promise<CheckResult>;

export type HealthReport = {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, { readonly ok: boolean; readonly reason?: string }>>;
};

/** Named conditions for taking work. The process is ready while none of them has a reason against it. */
export class Health {
  readonly #checks = new Map<string, Check>();

  /** Names are `<what>` or `<service>.<what>`; a name that is taken gets a number. Ends when disposed. */
  register(name: string, check: Check): Disposable {
    let unique = name;
    for (let n = 2; this.#checks.has(unique); n++) unique = `${name}#${n}`;
    this.#checks.set(unique, check);
    return { [Symbol.dispose]: () => void this.#checks.delete(unique) };
  }

  /** Runs all checks. One that throws, or takes longer than `deadlineMs`, fails with that as its reason. */
  async report(deadlineMs = 2000): Promise<HealthReport> {
    const results = await Promise.all(
      Array.from(this.#checks, async ([name, check]) => [name, await run(check, deadlineMs)] as const),
    );
    return {
      ready: results.every(([, { ok }]) => ok),
      checks: Object.fromEntries(results),
    };
  }
}

async function run(check: Check, deadlineMs: number): Promise<{ ok: boolean; reason?: string }> {
  try {
    const late = () => `no answer within ${deadlineMs} ms`;
    const result = await withDeadline((async () => check())(), deadlineMs, late);
    if (result === undefined) return { ok: true };
    return typeof result === 'string' ? { ok: false, reason: result } : { ok: true, reason: result.warning };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
}
