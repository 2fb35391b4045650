/** Why a provisioning request does not do what is asked of it. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly code: 'request-closed' | 'outside-window' | 'illegal-transition';

  constructor(code: RequestError['code'], message: string) {
    super(message);
    this.code = code;
  }
}
