import { Bundle } from '@signet/contracts';
import { AgentError } from './agent-error.ts';
import { callHttps, refusalOf } from './https-client.ts';
import type { Identity } from './identity.ts';

export type HandOver =
  | { readonly kind: 'bundle'; readonly bundle: Bundle }
  /** Nobody has claimed the device yet. Seconds. */
  | { readonly kind: 'wait'; readonly retryAfter: number };

const DEFAULT_RETRY_SECONDS = 30;

/**
 * Asks the bootstrap service for the hand-over (`POST /v1/bootstrap`). Safe to repeat: the last grant counts.
 * @throws AgentError `refused`, `unreachable`, `bad-answer`
 */
export async function requestHandOver(device: {
  url: string;
  identity: Identity;
  trust: string;
  signal?: AbortSignal | undefined;
}): Promise<HandOver> {
  const { identity, trust, signal } = device;
  const url = new URL('/v1/bootstrap', device.url);
  const answer = await callHttps({ url, method: 'POST', identity, trust, signal });
  if (answer.status === 202) return { kind: 'wait', retryAfter: answer.retryAfter ?? DEFAULT_RETRY_SECONDS };
  if (answer.status !== 200) throw refusalOf('bootstrap', answer);
  try {
    return { kind: 'bundle', bundle: Bundle.parse(JSON.parse(answer.body.toString('utf8'))) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('bad-answer', `bootstrap: no bundle in the answer: ${reason}`, { cause });
  }
}
