import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { MAX_OCSP_REQUEST_BYTES } from '@signet/pki';
import type { AnswerCache } from '../../domain/ocsp/answer-cache.ts';
import type { OcspReply } from '../../domain/ocsp/answer-ocsp.ts';
import { hasAlready } from '../has-already.ts';

export type OcspHandlerDeps = {
  readonly cache: AnswerCache;
  readonly answer: (requestDer: Uint8Array) => Promise<OcspReply>;
};

const PATH = '/ocsp';
const RETRY_SECONDS = 30;

/**
 * OCSP over HTTP (RFC 6960 appendix A, RFC 5019 §5): GET with the request in base64 in the path, and POST. Stands before
 * the web framework, for an answer that is at hand costs less than the way through that.
 * @returns false for a request that is for somebody else
 */
export function ocspHandler(
  deps: OcspHandlerDeps,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  return (request, response) => {
    const { method, url = '' } = request;
    if (!url.startsWith(PATH)) return false;
    if (method === 'GET' && url[PATH.length] === '/') {
      void get(deps, url, request, response);
      return true;
    }
    if (url !== PATH && url !== `${PATH}/`) return false;
    if (method === 'POST') post(deps, request, response);
    else refuse(response, 405, { Allow: 'POST' });
    return true;
  };
}

async function get(
  { cache, answer }: OcspHandlerDeps,
  url: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const kept = cache.get(url);
  if (kept !== undefined) {
    send(response, kept, request.headers);
    return;
  }
  const { state } = cache;
  const reply = await answer(decoded(url.slice(PATH.length + 1)));
  cache.keep(url, state, reply);
  send(response, reply, request.headers);
}

/** What is no base64 becomes no OCSP request either, and is answered as such. */
function decoded(path: string): Uint8Array {
  try {
    return Buffer.from(decodeURIComponent(path), 'base64');
  } catch {
    return new Uint8Array();
  }
}

function post({ cache, answer }: OcspHandlerDeps, request: IncomingMessage, response: ServerResponse): void {
  if (request.headers['content-type']?.split(';')[0]?.trim().toLowerCase() !== 'application/ocsp-request') {
    request.resume();
    refuse(response, 415, {});
    return;
  }
  const parts: Buffer[] = [];
  let length = 0;
  request.on('data', (part: Buffer) => {
    length += part.length;
    if (length <= MAX_OCSP_REQUEST_BYTES) parts.push(part);
  });
  request.on('end', () => {
    if (length > MAX_OCSP_REQUEST_BYTES) return refuse(response, 413, {});
    const [first] = parts;
    const body = parts.length === 1 && first !== undefined ? first : Buffer.concat(parts);
    const asked = body.toString('latin1');
    const kept = cache.get(asked);
    if (kept !== undefined) return send(response, kept);
    const { state } = cache;
    void answer(body).then((reply) => {
      cache.keep(asked, state, reply);
      send(response, reply);
    });
  });
  request.on('error', () => response.destroy());
}

const headersOf = new WeakMap<OcspReply, Record<string, string | number>>();

function send(response: ServerResponse, reply: OcspReply, asked: IncomingHttpHeaders = {}): void {
  let headers = headersOf.get(reply);
  if (headers === undefined) {
    headers = makeHeaders(reply);
    headersOf.set(reply, headers);
  }
  const { fresh } = reply;
  if (fresh !== undefined && hasAlready(asked, { tag: `"${fresh.tag}"`, modifiedAt: fresh.modifiedAt })) {
    const { 'Content-Type': _type, 'Content-Length': _length, ...rest } = headers;
    response.writeHead(304, rest);
    response.end();
    return;
  }
  response.writeHead(200, headers);
  response.end(reply.der);
}

/** RFC 5019 §6.2; an answer to a nonce, or one that tells of a failure, is for this once. */
function makeHeaders({ der, fresh, failure }: OcspReply): Record<string, string | number> {
  const common = { 'Content-Type': 'application/ocsp-response', 'Content-Length': der.length };
  if (fresh === undefined)
    return {
      ...common,
      'Cache-Control': 'no-store',
      ...(failure === 'tryLater' ? { 'Retry-After': RETRY_SECONDS } : {}),
    };
  return {
    ...common,
    'Cache-Control': `max-age=${fresh.maxAgeSeconds}, public, no-transform, must-revalidate`,
    ETag: `"${fresh.tag}"`,
    'Last-Modified': new Date(fresh.thisUpdate).toUTCString(),
    Expires: new Date(fresh.nextUpdate).toUTCString(),
  };
}

function refuse(response: ServerResponse, status: number, headers: Record<string, string>): void {
  response.writeHead(status, { ...headers, 'Content-Length': 0 });
  response.end();
}
