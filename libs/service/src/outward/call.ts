import { lookup as resolve } from 'node:dns';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { isPrivateAddress } from './private-address.ts';

/** A call to a server that an operator named, and that may mean harm. */
export type OutwardCall = {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** From the call to the whole answer. */
  readonly deadlineMs: number;
  readonly maxAnswerBytes: number;
  /** Whether private addresses and plain HTTP are allowed. */
  readonly allowPrivate: boolean;
};

export type OutwardAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
};

/**
 * Calls it once. Redirects are not followed; every address that a name leads to is looked at before it is connected to,
 * so that no name can be turned inwards between look-up and connection.
 * @throws Error where the URL or an address is not allowed, where the answer is late, too long or never comes
 */
export async function callOutward(call: OutwardCall): Promise<OutwardAnswer> {
  const url = new URL(call.url);
  if (url.protocol !== 'https:' && (url.protocol !== 'http:' || !call.allowPrivate))
    throw new Error('url: https: expected');
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (!call.allowPrivate && isIP(host) !== 0 && isPrivateAddress(host)) throw refusedAddress(host);
  return send(url, call);
}

function send(url: URL, call: OutwardCall): Promise<OutwardAnswer> {
  const { promise, resolve: done, reject } = Promise.withResolvers<OutwardAnswer>();
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
    (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > call.maxAnswerBytes) outgoing.destroy(new Error('the answer is too long'));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () =>
        done({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks),
        }),
      );
    },
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
