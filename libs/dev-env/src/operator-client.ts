/** What the operators' API answered: JSON, or nothing. */
export type ApiAnswer = { readonly status: number; readonly body: unknown };

/** The operators' REST API as one operator uses it. Paths begin with `/v1`. */
export class OperatorClient {
  readonly url: string;
  readonly token: string;

  constructor(options: { readonly url: string; readonly token: string }) {
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
