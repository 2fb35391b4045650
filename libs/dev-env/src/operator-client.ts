/** What the operators' API answered: JSON, or nothing. */
export type ApiAnswer = { readonly status: number; readonly body: unknown };

/** Accounts that are there without being made. */
const GIVEN = ['default', 'signet', '-', '*'];

/**
 * The operators' REST API as one operator of a test uses it. Paths begin with `/v1`. Tests name accounts freely: one that
 * is changed, or given a token for, is made first, unless `makesAccounts` says no.
 */
export class OperatorClient {
  readonly url: string;
  readonly token: string;

  readonly #made: Map<string, Promise<unknown>> | undefined;

  constructor(options: { readonly url: string; readonly token: string; readonly makesAccounts?: boolean }) {
    this.#made =
      options.makesAccounts === false
        ? undefined
        : new Map(GIVEN.map((account) => [account, Promise.resolve()]));
    this.url = options.url;
    this.token = options.token;
  }

  get<T>(path: string): Promise<T> {
    return this.#succeed('GET', path);
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.#succeed('POST', path, body);
  }

  put<T>(path: string, body: unknown): Promise<T> {
    return this.#succeed('PUT', path, body);
  }

  /** Whatever the answer is; `body` as text is sent as it stands, else as JSON. */
  async call(method: string, path: string, body?: unknown): Promise<ApiAnswer> {
    if (method !== 'GET') for (const account of accountsIn(path, body)) await this.makeAccount(account);
    return this.#send(method, path, body);
  }

  /** Makes an account, once; where this operator may not, it is left to who may. */
  async makeAccount(account: string): Promise<void> {
    if (this.#made === undefined) return;
    // calls that come meanwhile wait for it too
    const making = this.#made.get(account) ?? this.#send('POST', '/v1/accounts', { account });
    this.#made.set(account, making);
    await making;
  }

  async #send(method: string, path: string, body?: unknown): Promise<ApiAnswer> {
    const response = await fetch(new URL(path, this.url), {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  }

  /** @throws Error with status and problem where the answer is not 2xx */
  async #succeed<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.call(method, path, body);
    if (answer.status >= 200 && answer.status < 300) return answer.body as T;
    throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }
}

function accountsIn(path: string, body: unknown): readonly string[] {
  const [, account] = /^\/v1\/accounts\/([^/?]+)\//.exec(path) ?? [];
  if (account !== undefined) return [account];
  const { grants = [] } = (path === '/v1/tokens' ? body : {}) as { grants?: { account: string }[] };
  return grants.map((grant) => grant.account);
}
