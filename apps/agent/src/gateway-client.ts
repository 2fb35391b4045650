import type { Bundle } from '@signet/contracts';
import { z } from 'zod';
import { AgentError } from './agent-error.ts';
import { type Answer, callHttps, refusalOf } from './https-client.ts';
import type { Identity } from './identity.ts';

/** A file of the device's config, as the gateway sends it. */
export const ConfigEntry = z.object({
  Value: z.string(),
  OnChanged: z.array(z.string()).optional(),
  Unencrypted: z.boolean().optional(),
});
export type ConfigEntry = z.infer<typeof ConfigEntry>;
export const ConfigBody = z.record(z.string(), ConfigEntry);
export type ConfigBody = z.infer<typeof ConfigBody>;

/** What the agent reports of an update or a rotation. */
export type UpdateReport = {
  readonly id: string;
  readonly deviceTime: string;
  readonly event: {
    readonly correlationId: string;
    readonly targetName: string;
    readonly version: string;
    readonly success?: boolean;
    readonly details?: string;
  };
  readonly eventType: { readonly id: string; readonly version: 0 };
};

/** The config and when it was changed: the text of the answer's `Date`. */
export type FetchedConfig = {
  readonly body: ConfigBody;
  readonly modified: string;
  readonly version: string;
};

/**
 * The device gateway (device-gateway.md), asked with an identity.
 * Every call: @throws AgentError `refused` with its status, `unreachable`, `bad-answer`
 */
export class GatewayClient {
  readonly #url: string;
  readonly #trust: string;
  readonly #signal: AbortSignal | undefined;

  constructor(bundle: Bundle, signal?: AbortSignal) {
    this.#url = bundle.gateway.url;
    this.#trust = bundle.trustAnchors.join('\n');
    this.#signal = signal;
  }

  /** Undefined where it has not changed since; an empty one, modified at no time, where there is none. */
  async config(identity: Identity, since?: string): Promise<FetchedConfig | undefined> {
    const headers = since === undefined || since === '' ? {} : { 'if-modified-since': since };
    const answer = await this.#call('GET', '/config', identity, { headers });
    if (answer.status === 304) return undefined;
    // its Date is that of the answer: a first config of the same second would be taken for known
    if (answer.status === 204) return { body: {}, modified: '', version: '' };
    const { date = '', etag = '' } = answer;
    return { body: bodyOf('config', answer), modified: date, version: etag.replaceAll('"', '') };
  }

  /** The device's own layer. */
  async ownConfig(identity: Identity): Promise<ConfigBody> {
    return bodyOf('config-device', await this.#call('GET', '/config-device', identity));
  }

  /** Puts files into the device's own layer; `publicKey` (PEM) is the key that their values are encrypted to. */
  async putConfig(identity: Identity, body: ConfigBody, publicKey: string, reason: string): Promise<void> {
    const files = Object.entries(body).map(([name, { Value, OnChanged, Unencrypted = false }]) => ({
      name,
      value: Value,
      unencrypted: Unencrypted,
      ...(OnChanged === undefined ? {} : { 'on-changed': OnChanged }),
    }));
    const text = JSON.stringify({ reason, files, 'public-key': publicKey });
    const answer = await this.#call('PATCH', '/config', identity, { body: text });
    if (answer.status !== 201) throw refusalOf('config', answer);
  }

  /** A contact, and no more: with a key that was announced it is the one that promotes it. */
  async greet(identity: Identity): Promise<void> {
    const answer = await this.#call('GET', '/device', identity);
    if (answer.status !== 200) throw refusalOf('device', answer);
  }

  /** Confirms the key that EST has announced. */
  async confirmKey(identity: Identity, publicKey: string): Promise<void> {
    const body = JSON.stringify({ next_pubkey: publicKey });
    const answer = await this.#call('PATCH', '/device', identity, { body });
    if (answer.status !== 200) throw refusalOf('device', answer);
  }

  async report(identity: Identity, reports: readonly UpdateReport[]): Promise<void> {
    const answer = await this.#call('POST', '/events', identity, { body: JSON.stringify(reports) });
    // a 207 names reports that it will never take: sending them again would not help
    if (answer.status !== 200 && answer.status !== 207) throw refusalOf('events', answer);
  }

  #call(
    method: 'GET' | 'POST' | 'PATCH',
    path: string,
    identity: Identity,
    more: { headers?: Record<string, string>; body?: string } = {},
  ): Promise<Answer> {
    const headers = {
      ...more.headers,
      ...(more.body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const { body } = more;
    return callHttps({
      ...{ url: new URL(path, this.#url), method, trust: this.#trust, identity, headers },
      ...(body === undefined ? {} : { body }),
      signal: this.#signal,
    });
  }
}

function bodyOf(what: string, answer: Answer): ConfigBody {
  if (answer.status === 204) return {};
  if (answer.status !== 200) throw refusalOf(what, answer);
  try {
    return ConfigBody.parse(JSON.parse(answer.body.toString('utf8')));
  } catch (cause) {
    throw new AgentError('bad-answer', `${what}: the answer is no config`, { cause });
  }
}
