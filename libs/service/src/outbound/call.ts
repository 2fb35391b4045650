import { lookup as resolve } from 'node:dns';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { isPrivateAddress } from './private-address.ts';

/** A call to a server that an operator named, and that may mean harm. */
export type OutboundCall = {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** From the call to the whole answer. */
  readonly deadlineMs: number;
  readonly maxAnswerBytes: number;
  /** Whether private addresses and plain HTTP are allowed. */
  readonly allowPrivate: boolean;
  /** Whether plain HTTP is, where what is fetched is signed itself. Default false. */
  readonly allowHttp?: boolean;
};

export type OutboundResponse = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
};

/**
 * Calls it once. Redirects are not followed; every address that a name leads to is looked at before it is connected to,
 * so that no name can be turned inwards between look-up and connection.
 * @throws Error where the URL or an address is not allowed, where the answer is late, too long or never comes
 */
export async function fetchOutbound(call: OutboundCall): Promise<OutboundResponse> {
  const chunks: Buffer[] = [];
  const { status, headers } = await streamOutbound(call, async (body) => {
    for await (const chunk of body) chunks.push(chunk);
  });
  return { status, headers, body: Buffer.concat(chunks) };
}

/**
 * As {@link fetchOutbound}, but hands the body over in pieces, as they come and as fast as they are taken.
 * @throws Error also where `take` does
 */
export async function streamOutbound(
  call: OutboundCall,
  take: (body: AsyncIterable<Buffer>, answer: Omit<OutboundResponse, 'body'>) => Promise<void>,
): Promise<Omit<OutboundResponse, 'body'>> {
  const url = new URL(call.url);
  if (url.protocol !== 'https:' && (url.protocol !== 'http:' || !(call.allowHttp || call.allowPrivate)))
    throw new Error('url: https: expected');
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (!call.allowPrivate && isIP(host) !== 0 && isPrivateAddress(host)) throw refusedAddress(host);
  const { outgoing, response } = await send(url, call);
  const answer = { status: response.statusCode ?? 0, headers: response.headers };
  try {
    await take(bounded(response, call.maxAnswerBytes), answer);
  } finally {
    outgoing.destroy();
  }
  return answer;
}

async function* bounded(response: IncomingMessage, maxBytes: number): AsyncGenerator<Buffer> {
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) throw new Error('the answer is too long');
    yield chunk;
  }
}

function send(
  url: URL,
  call: OutboundCall,
): Promise<{ readonly outgoing: ClientRequest; readonly response: IncomingMessage }> {
  const {
    promise,
    resolve: done,
    reject,
  } = Promise.withResolvers<{ outgoing: ClientRequest; response: IncomingMessage }>();
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const outgoing = request(
    url,
    {
      method: call.method,
      agent: false,
      signal: AbortSignal.timeout(call.deadlineMs),
      ...(call.allowPrivate ? {} : { lookup: publicLookup }),
      headers: {
        ...call.headers,
        ...(call.body === undefined ? {} : { 'content-length': Buffer.byteLength(call.body) }),
        'user-agent': 'signet',
      },
    },
    (response) => done({ outgoing, response }),
  );
  outgoing.on('error', reject);
  outgoing.end(call.body);
  return promise;
}

const publicLookup: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, []);
    const refused = addresses.find(({ address }) => isPrivateAddress(address));
    const [first] = addresses;
    if (refused !== undefined) return callback(refusedAddress(refused.address), []);
    if (first === undefined) return callback(new Error(`${hostname} has no address`), []);
    if (options.all === true) return callback(null, addresses);
    return callback(null, first.address, first.family);
  });
};

function refusedAddress(address: string): Error {
  return new Error(`${address} is a private address; SIGNET_OUTWARD_PRIVATE allows them`);
}
