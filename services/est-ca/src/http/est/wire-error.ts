/** A request that is wrong as HTTP, before anything is read from it. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly status: 400 | 404 | 405 | 413 | 415;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: WireError['status'], message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}
