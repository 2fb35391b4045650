import { type RequestOptions, request } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { AgentError } from './agent-error.ts';
import { clockNow, hearTime, raiseFloor, systemNow } from './clock.ts';
import type { Identity } from './identity.ts';
import { dialByHolder } from './keys/dial.ts';
import { connectUnclocked, isClockBehind, timeByServer } from './unclocked-tls.ts';

export type Answer = {
  readonly status: number;
  readonly type: string;
  /** Seconds. */
  readonly retryAfter: number | undefined;
  readonly location: string | undefined;
  readonly date: string | undefined;
  readonly etag: string | undefined;
  readonly body: Buffer;
};

export type HttpsCall = {
  readonly url: string | URL;
  readonly method?: 'GET' | 'POST' | 'PATCH';
  /** PEM of the roots that the server must chain to; nothing else is trusted. */
  readonly trust: string;
  readonly identity?: Identity | undefined;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
  /** From the call to the last byte of the answer, ms. */
  readonly deadlineMs?: number;
};

/** Without a byte. */
const TIMEOUT_MS = 30_000;
/** In all: a server that drips holds the agent no longer. */
const DEADLINE_MS = 120_000;
const MAX_BODY = 1024 * 1024;

/**
 * One HTTPS exchange, mutual TLS where an identity is given. A clock that is behind the server's certificate is found out
 * before anything is sent, and not believed from then on.
 * @throws AgentError `unreachable`
 */
export async function callHttps({ deadlineMs = DEADLINE_MS, ...asked }: HttpsCall): Promise<Answer> {
  const late = AbortSignal.timeout(deadlineMs);
  const call = {
    ...asked,
    signal: asked.signal === undefined ? late : AbortSignal.any([asked.signal, late]),
  };
  try {
    return await exchange(call);
  } catch (error) {
    if (late.aborted && asked.signal?.aborted !== true)
      throw new AgentError(
        'unreachable',
        `${new URL(call.url).host}: no whole answer within ${deadlineMs / 1000} s`,
        { cause: error },
      );
    if (!isClockBehind(error)) throw error;
    await timeByServer(call.url, { defaultPort: 443, trust: call.trust, signal: call.signal });
    return exchange(call);
  }
}

async function exchange(call: HttpsCall): Promise<Answer> {
  const socket =
    (await dialByHolder(call.identity, { ...call, defaultPort: 443 })) ??
    (clockNow() === undefined ? await unclocked(call) : undefined);
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const options: RequestOptions = {
    method: call.method ?? 'GET',
    ca: call.trust,
    timeout: TIMEOUT_MS,
    headers: {
      'user-agent': 'signet-agent',
      ...call.headers,
      ...(call.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(call.body)) }),
    },
    ...(call.identity === undefined || call.identity.holder !== undefined
      ? {}
      : { key: call.identity.key, cert: call.identity.certificate }),
    ...(call.signal === undefined ? {} : { signal: call.signal }),
    // an agent would make a connection of its own
    ...(socket === undefined ? { agent: false as const } : { createConnection: () => socket }),
  };
  const fail = (cause: Error) =>
    reject(
      new AgentError('unreachable', `${new URL(call.url).host}: ${cause.message}${byWhichClock(cause)}`, {
        cause,
      }),
    );
  const sent = request(call.url, options, (response) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY) response.destroy(new Error(`answer: larger than ${MAX_BODY} bytes`));
      else chunks.push(chunk);
    });
    response.on('error', fail);
    response.on('end', () => {
      const { 'retry-after': retryAfter, 'content-type': type = '', location, date, etag } = response.headers;
      if (sent.path !== '/config') hearTime(date);
      resolve({
        status: response.statusCode ?? 0,
        type,
        ...{ location, date, etag },
        retryAfter: retryAfter !== undefined && /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined,
        body: Buffer.concat(chunks),
      });
    });
  });
  sent.on('socket', (made) => made.once('secureConnect', () => learnTime(made as TLSSocket)));
  sent.on('timeout', () => sent.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
  sent.on('error', fail);
  sent.end(call.body);
  return promise;
}

/** A server that TLS has verified: its certificate began in the past. */
function learnTime(socket: TLSSocket): void {
  if (socket.authorized) raiseFloor(Date.parse(socket.getPeerCertificate().valid_from));
}

/** A certificate out of its time may be the device's clock being so. */
function byWhichClock(error: Error): string {
  const isOfTime = 'code' in error && ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'].includes(String(error.code));
  return isOfTime ? ` (by this device's clock: ${new Date(systemNow()).toISOString()})` : '';
}

/** The connection of a device whose clock was never set: verified before anything is sent on it. */
async function unclocked(call: HttpsCall): Promise<TLSSocket> {
  const { hostname, port, host } = new URL(call.url);
  const { trust, identity, signal } = call;
  const server = { host: hostname, port: Number(port) || 443 };
  try {
    return await connectUnclocked({ ...server, trust, identity, signal, timeoutMs: TIMEOUT_MS });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('unreachable', `${host}: ${reason}`, { cause });
  }
}

/** A refusal as an error that says what the server said. */
export function refusalOf(what: string, { status, body, retryAfter }: Answer): AgentError {
  const text = body.toString('utf8', 0, 512).trim();
  const { reason, refusal } = reasonIn(text);
  return new AgentError('refused', `${what}: ${status} ${reason}`, { status, retryAfter, refusal });
}

function reasonIn(text: string): { readonly reason: string; readonly refusal?: string } {
  try {
    const { code, detail } = JSON.parse(text) as { code?: unknown; detail?: unknown };
    if (typeof code !== 'string') return { reason: text };
    return { reason: `${code}: ${typeof detail === 'string' ? detail : ''}`, refusal: code };
  } catch {
    return { reason: text };
  }
}
