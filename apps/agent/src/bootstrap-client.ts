import { Bundle } from '@signet/contracts';
import { AgentError } from './agent-error.ts';
import { type Answer, callHttps, refusalOf } from './https-client.ts';
import { type Identity, leaf } from './identity.ts';
import { followRedirect, type NextHop } from './redirect.ts';

export type Handoff =
  | { readonly kind: 'bundle'; readonly bundle: Bundle }
  /** Nobody has claimed the device yet, or an operator is to let it in. Seconds. */
  | { readonly kind: 'wait'; readonly retryAfter: number };

const DEFAULT_RETRY_SECONDS = 30;
/** The first instance, and so many that it is sent on to. */
const MAX_HOPS = 4;

/**
 * Asks the bootstrap service for the handoff (`POST /v1/bootstrap`), and the instance that it is sent on to. Safe to
 * repeat: the last grant counts. `csr`: PEM, where the certificate is wanted at once.
 * @throws AgentError `refused`, `unreachable`, `bad-answer`
 */
export async function requestHandoff(device: {
  url: string;
  identity: Identity;
  trust: string;
  csr?: string | undefined;
  signal?: AbortSignal | undefined;
}): Promise<Handoff> {
  const { identity, signal, csr } = device;
  let hop: NextHop = device;
  for (let hops = 0; hops < MAX_HOPS; hops++) {
    const url = new URL('/v1/bootstrap', hop.url);
    const answer = await callHttps({
      ...{ url, method: 'POST', identity, trust: hop.trust, signal },
      ...(csr === undefined
        ? {}
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ csr }) }),
    });
    if (answer.status !== 307) return handoffOf(answer);
    const { fingerprint } = leaf(identity);
    const { location } = answer;
    hop = followRedirect(
      { location, body: answer.body.toString('utf8') },
      { url, trust: hop.trust, fingerprint },
    );
  }
  throw new AgentError('bad-answer', `bootstrap: sent on more than ${MAX_HOPS - 1} times`);
}

function handoffOf(answer: Answer): Handoff {
  if (answer.status === 202) return { kind: 'wait', retryAfter: answer.retryAfter ?? DEFAULT_RETRY_SECONDS };
  if (answer.status !== 200) throw refusalOf('bootstrap', answer);
  try {
    return { kind: 'bundle', bundle: Bundle.parse(JSON.parse(answer.body.toString('utf8'))) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('bad-answer', `bootstrap: no bundle in the answer: ${reason}`, { cause });
  }
}
