import type { FactoryResult } from '@signet/contracts';
import type { ApiClient } from '../api-client.ts';
import { CliError } from '../cli-error.ts';

export type SignRequest = { csr: string; deviceSerialNumber?: string; model?: string };
export type SignAnswer = FactoryResult | { error: { code: string; message: string } };

/** The most that one call signs. */
export const MOST_AT_ONCE = 256;

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
const TRIES = 8;

/** Has bootstrap certificates signed. @throws CliError */
export async function signRequests(api: ApiClient, items: readonly SignRequest[]): Promise<SignAnswer[]> {
  const path = '/v1/accounts/{account}/factory/certificates';
  const { results } = await api.post<{ results: SignAnswer[] }>(path, { items });
  return results;
}

/**
 * The same, patiently: while the platform is unavailable it is asked again for about a minute. Asking again makes nothing
 * twice: the same serial number with the same key is the same device.
 */
export async function signPatiently(
  api: ApiClient,
  items: readonly SignRequest[],
  stopped: AbortSignal,
): Promise<SignAnswer[]> {
  for (let tries = 1; ; tries++) {
    try {
      return await signRequests(api, items);
    } catch (error) {
      const isUnavailable =
        error instanceof CliError && (error.isUnreachable || error.code === 'unavailable');
      if (!isUnavailable || tries === TRIES || stopped.aborted) throw error;
      await waited(Math.min(FIRST_WAIT_MS * 2 ** (tries - 1), LONGEST_WAIT_MS), stopped);
    }
  }
}

function waited(ms: number, stopped: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      stopped.removeEventListener('abort', done);
      resolve();
    }
    stopped.addEventListener('abort', done, { once: true });
  });
}
