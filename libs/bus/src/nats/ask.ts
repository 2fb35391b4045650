import { BusError } from '../bus-error.ts';
import type { Connected, Link } from './link.ts';

/** @throws BusError `unavailable` where NATS does not answer */
export async function ask<T>(link: Link, question: (connected: Connected) => Promise<T>): Promise<T> {
  try {
    return await question(await link.connected(AbortSignal.timeout(5000)));
  } catch (cause) {
    link.closing.throwIfAborted();
    throw new BusError('unavailable', link.failure() ?? 'NATS did not answer', { cause });
  }
}
