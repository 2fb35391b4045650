import { lookup as resolve } from 'node:dns';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { z } from 'zod';
import type { AskWebhook, Consent } from '../../domain/approval/owner-consent.ts';
import { isPrivateAddress } from './private-address.ts';
import { signedHeaders } from './signature.ts';

export type WebhookOptions = {
  /** From the call to the whole answer. */
  readonly deadlineMs: number;
  /** Whether private addresses and plain HTTP are allowed. */
  readonly allowPrivate: boolean;
  readonly now: () => number;
};

const MAX_ANSWER_BYTES = 16 * 1024;

const Answer = z.union([
  z.object({ allow: z.literal(true) }),
  z.object({ allow: z.literal(false), reason: z.string().max(256).default('no reason given') }),
]);

/**
 * Asks owners' back ends: POST of JSON, signed as Standard Webhooks has it. Only 200 with `{"allow": …}` is an answer.
 * Redirects are not followed; every address that a name leads to is looked at before it is connected to, so that no
 * name can be turned inwards between look-up and connection.
 */
export function webhookCaller(options: WebhookOptions): AskWebhook {
  return async (hook, call) => {
    const url = new URL(hook.url);
    if (url.protocol !== 'https:' && !options.allowPrivate) throw new Error('webhook: https: expected');
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (!options.allowPrivate && isIP(host) !== 0 && isPrivateAddress(host)) throw refusedAddress(host);
    const { id, ...message } = call;
    const body = JSON.stringify(message);
    const seconds = Math.floor(options.now() / 1000);
    const reply = await post(url, body, signedHeaders(hook.secret, { id, seconds, body }), options);
    return consentIn(reply);
  };
}

type Reply = { readonly status: number; readonly body: string };

function consentIn({ status, body }: Reply): Consent {
  if (status !== 200) throw new Error(`webhook: status ${status}`);
  return Answer.parse(JSON.parse(body));
}

function post(
  url: URL,
  body: string,
  headers: Readonly<Record<string, string>>,
  { deadlineMs, allowPrivate }: WebhookOptions,
): Promise<Reply> {
  const { promise, resolve: done, reject } = Promise.withResolvers<Reply>();
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const outgoing = request(
    url,
    {
      method: 'POST',
      agent: false,
      signal: AbortSignal.timeout(deadlineMs),
      ...(allowPrivate ? {} : { lookup: publicLookup }),
      headers: {
        ...headers,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'signet',
      },
    },
    (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > MAX_ANSWER_BYTES) outgoing.destroy(new Error('webhook: the answer is too long'));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () =>
        done({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      );
    },
  );
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}

const publicLookup: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, []);
    const refused = addresses.find(({ address }) => isPrivateAddress(address));
    const [first] = addresses;
    if (refused !== undefined) return callback(refusedAddress(refused.address), []);
    if (first === undefined) return callback(new Error(`webhook: ${hostname} has no address`), []);
    if (options.all === true) return callback(null, addresses);
    return callback(null, first.address, first.family);
  });
};

function refusedAddress(address: string): Error {
  return new Error(`webhook: ${address} is a private address; SIGNET_EST_WEBHOOK_PRIVATE allows them`);
}
