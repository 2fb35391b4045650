import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'aedes';

const STEP_MS = 50;
/** What a stop has for its sessions, of the time that it may take. */
const SHARE = 0.6;

export type DrainLimits = {
  /** Sessions that a stopping node ends in a second. */
  readonly drainPerSecond: number;
  /** What a stop may take, s. */
  readonly stopSeconds: number;
};

/**
 * Closes all clients at a set rate, so that the nodes which take them over are not flooded; faster where the stop would
 * take too long.
 */
export async function drain(
  clients: Set<Client>,
  { drainPerSecond, stopSeconds }: DrainLimits,
): Promise<void> {
  const steps = (stopSeconds * 1000 * SHARE) / STEP_MS;
  const atOnce = Math.ceil(Math.max((drainPerSecond * STEP_MS) / 1000, clients.size / steps));
  while (clients.size > 0) {
    const some = [...clients].slice(0, atOnce);
    for (const client of some) clients.delete(client);
    await Promise.all(some.map((client) => new Promise<void>((resolve) => client.close(() => resolve()))));
    if (clients.size > 0) await sleep(STEP_MS);
  }
}
