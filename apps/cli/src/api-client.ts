import type { SignetEvent } from '@signet/contracts';
import { CliError, messageOf } from './cli-error.ts';
import type { Settings } from './settings.ts';

/** Longer than the platform takes for anything that it answers. */
const DEADLINE_MS = 300_000;

export type PageOf<T> = { readonly items: readonly T[]; readonly next?: string };

/** The operators' REST API. `{account}` in a path stands for the account of the settings. */
export class ApiClient {
  readonly settings: Settings;
  readonly #stopped: AbortSignal | undefined;
  readonly #deadlineMs: number;
  #onOwed: () => void = () => {};

  /**
   * `stopped` ends whatever is asked, and what waits for an answer, at once.
   * @param deadlineMs from a call to the last byte of its answer; streams have none
   */
  constructor(settings: Settings, stopped?: AbortSignal, deadlineMs: number = DEADLINE_MS) {
    this.settings = settings;
    this.#stopped = stopped;
    this.#deadlineMs = deadlineMs;
  }

  /** `listener` hears of each answer to what is accepted, and not in force yet. */
  onOwed(listener: () => void): void {
    this.#onOwed = listener;
  }

  get<T>(path: string, query: Record<string, string | number | undefined> = {}): Promise<T> {
    return this.#call('GET', this.#url(path, query)) as Promise<T>;
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.#call('POST', this.#url(path), body) as Promise<T>;
  }

  put<T>(path: string, body: unknown): Promise<T> {
    return this.#call('PUT', this.#url(path), body) as Promise<T>;
  }

  delete<T = void>(path: string): Promise<T> {
    return this.#call('DELETE', this.#url(path)) as Promise<T>;
  }

  /** Sends a body as it is, and gives the lines of the answer as they come. */
  async *lines(
    path: string,
    query: Record<string, string | number | undefined>,
    body: Blob,
  ): AsyncGenerator<string> {
    const response = await this.#send('POST', this.#url(path, query), { type: body.type, body });
    if (!response.ok) throw await problemOf(response);
    let text = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of response.body ?? []) {
        const lines = (text + decoder.decode(chunk, { stream: true })).split('\n');
        text = lines.pop() ?? '';
        yield* lines;
      }
    } catch (error) {
      throw new CliError('the connection closed before the response was complete', { cause: error });
    }
    if (text !== '') yield text;
  }

  /** Every item, page after page. */
  async *all<T>(path: string, query: Record<string, string | number | undefined> = {}): AsyncGenerator<T> {
    let cursor: string | undefined;
    do {
      const page: PageOf<T> = await this.get(path, { ...query, cursor });
      yield* page.items;
      cursor = page.next;
    } while (cursor !== undefined);
  }

  /** Events as they come, until the signal fires. `onOpen` is called when nothing later can be missed. */
  async *events(
    query: { types?: string; from?: string },
    signal: AbortSignal,
    onOpen: () => void = () => {},
  ): AsyncGenerator<SignetEvent> {
    const response = await this.#fetch(
      'GET',
      this.#url('/v1/accounts/{account}/events', query),
      undefined,
      signal,
    );
    if (!response.ok) throw await problemOf(response);
    if (response.body === null) return;
    let text = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of response.body) {
        text += decoder.decode(chunk, { stream: true });
        const frames = text.split('\n\n');
        text = frames.pop() ?? '';
        for (const frame of frames) {
          if (frame === ': connected') onOpen();
          const data = /^data: (.*)$/m.exec(frame)?.[1];
          if (data !== undefined) yield JSON.parse(data) as SignetEvent;
        }
      }
    } catch (error) {
      if (!signal.aborted) throw new CliError('the event stream was interrupted', { cause: error });
    }
  }

  #url(path: string, query: Record<string, string | number | undefined> = {}): URL {
    const url = new URL(
      path.replace('{account}', encodeURIComponent(this.settings.account)),
      this.settings.url,
    );
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    return url;
  }

  async #call(method: string, url: URL, body?: unknown): Promise<unknown> {
    const late = AbortSignal.timeout(this.#deadlineMs);
    try {
      const response = await this.#fetch(method, url, body, late);
      if (!response.ok) throw await problemOf(response);
      if (response.status === 202 && method !== 'GET') this.#onOwed();
      return response.status === 204 ? undefined : await this.#json(response);
    } catch (error) {
      if (!late.aborted || this.#stopped?.aborted === true) throw error;
      const message = `${url.origin}: no whole answer within ${this.#deadlineMs / 1000} s`;
      throw new CliError(message, { isUnreachable: true, cause: error });
    }
  }

  async #json(response: Response): Promise<unknown> {
    const text = await response.text().catch((cause: unknown) => {
      this.#stopped?.throwIfAborted();
      throw new CliError(`${this.settings.url}: the connection closed before the response was complete`, {
        isUnreachable: true,
        cause,
      });
    });
    try {
      return JSON.parse(text);
    } catch (cause) {
      const what = response.headers.get('content-type') ?? 'something else';
      throw new CliError(`${this.settings.url}: answered with ${what}, not JSON; is this the Signet API?`, {
        cause,
      });
    }
  }

  #fetch(method: string, url: URL, body?: unknown, signal?: AbortSignal): Promise<Response> {
    const sent = body === undefined ? undefined : { type: 'application/json', body: JSON.stringify(body) };
    return this.#send(method, url, sent, signal);
  }

  async #send(
    method: string,
    url: URL,
    sent: { readonly type: string; readonly body: string | Blob } | undefined,
    signal?: AbortSignal,
  ): Promise<Response> {
    const signals = [signal, this.#stopped].filter((one) => one !== undefined);
    try {
      return await fetch(url, {
        method,
        headers: {
          authorization: `Bearer ${this.settings.token}`,
          ...(sent === undefined ? {} : { 'content-type': sent.type }),
        },
        ...(sent === undefined ? {} : { body: sent.body }),
        ...(signals.length === 0 ? {} : { signal: AbortSignal.any(signals) }),
      });
    } catch (error) {
      this.#stopped?.throwIfAborted();
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      const [reason, hint] = unreachable(cause, url);
      throw new CliError(`${url.origin}: ${reason}; ${hint}`, { isUnreachable: true, cause: error });
    }
  }
}

/** Why nobody answered, and what to look at. */
function unreachable(cause: unknown, { protocol, host }: URL): [string, string] {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (isUntrusted(cause))
    return [
      messageOf(cause),
      'name its roots with --ca <file>, or its own certificate with --api-fingerprint',
    ];
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG')
    return ['it does not speak TLS', `is it http://${host}?`];
  if (protocol === 'http:' && (code === 'UND_ERR_SOCKET' || code.startsWith('HPE_')))
    return [messageOf(cause), `is Signet running there, or is it https://${host}?`];
  return [messageOf(cause), 'is Signet running?'];
}

/** Whether a server answered that chains to no root that is trusted. */
function isUntrusted(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^(SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY_LEAF))/.test(code);
}

async function problemOf(response: Response): Promise<CliError> {
  const text = await response.text();
  try {
    const { code, detail } = JSON.parse(text) as { code?: string; detail?: string };
    return new CliError(`${code ?? response.status}: ${detail ?? text}`, { code });
  } catch (cause) {
    return new CliError(`HTTP ${response.status}: ${text.slice(0, 200)}`, { cause });
  }
}
