import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

/** `utime` and `stime` of /proc/<pid>/stat are counted in ticks of 10 ms on Linux. */
const TICK_MS = 10;
const SAMPLE_MS = 100;
/** So long the processes must be as quiet as they are at rest. */
const QUIET_SAMPLES = 10;
const DRAIN_DEADLINE_MS = 60_000;

/** CPU that these processes have used, all their threads included, in ms. Linux. */
export function cpuMs(pids: readonly number[]): number {
  let total = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // the name of the process, in parentheses, may hold spaces: state is the first field after it
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    total += (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  }
  return total;
}

/** CPU of the processes at rest, in ms per second, over two seconds. */
export async function restingRate(pids: readonly number[]): Promise<number> {
  const before = cpuMs(pids);
  await setTimeout(2000);
  return (cpuMs(pids) - before) / 2;
}

/**
 * Waits until the processes have been at rest for a second, so that deferred work is counted too.
 * @returns the CPU that they had used when they came to rest, and how long that took
 * @throws Error if they do not come to rest within a minute
 */
export async function untilAtRest(
  pids: readonly number[],
  restingMsPerSecond: number,
): Promise<{ readonly cpuMs: number; readonly seconds: number }> {
  const start = performance.now();
  // three hundredths of a core above the resting rate still count as work
  const most = ((restingMsPerSecond + 30) * SAMPLE_MS * QUIET_SAMPLES) / 1000;
  const samples = [{ at: start, cpu: cpuMs(pids) }];
  for (;;) {
    await setTimeout(SAMPLE_MS);
    samples.push({ at: performance.now(), cpu: cpuMs(pids) });
    const first = samples.at(-1 - QUIET_SAMPLES);
    const last = samples.at(-1);
    if (first !== undefined && last !== undefined && last.cpu - first.cpu <= most)
      return { cpuMs: first.cpu, seconds: (first.at - start) / 1000 };
    if (performance.now() - start > DRAIN_DEADLINE_MS)
      throw new Error(`the platform is not at rest ${DRAIN_DEADLINE_MS / 1000} s after the last answer`);
  }
}
