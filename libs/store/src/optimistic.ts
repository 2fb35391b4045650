import { pause } from '@signet/async';
import { StoreError } from './store-error.ts';

const ATTEMPTS = 200;

/** What an attempt says that has to be made again because another process came first. */
export const AGAIN = Symbol('again');

/** Repeats an attempt until it stands, with a growing random pause so that processes do not stay in step. */
export async function optimistically<R>(what: string, attempt: () => Promise<R | typeof AGAIN>): Promise<R> {
  for (let tries = 1; tries <= ATTEMPTS; tries++) {
    const result = await attempt();
    if (result !== AGAIN) return result;
    if (tries > 2) await pause(Math.random() * Math.min(tries, 50));
  }
  throw new StoreError('unavailable', `${what}: was changed by others ${ATTEMPTS} times in between`);
}
