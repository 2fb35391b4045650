export type AgentErrorCode =
  | 'not-a-device-folder'
  | 'broken-folder'
  | 'folder-in-use'
  | 'refused'
  | 'unreachable'
  | 'bad-answer'
  | 'not-enrolled';

/** What the agent fails with. `status` is the HTTP status of a refusal, `retryAfter` what it said to wait, in seconds. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly code: AgentErrorCode;
  readonly status: number | undefined;
  readonly retryAfter: number | undefined;

  constructor(
    code: AgentErrorCode,
    message: string,
    options: { status?: number; retryAfter?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status;
    this.retryAfter = options.retryAfter;
  }

  /** Whether the same request may go through later. */
  get isPassing(): boolean {
    const { code, status = 0 } = this;
    return code === 'unreachable' || status === 408 || status === 429 || status >= 500;
  }
}
