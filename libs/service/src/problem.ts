import { STATUS_CODES } from 'node:http';

/**
 * An answer that a route gives by throwing: RFC 9457 problem details. `code` is stable, and `detail` names the field
 * and the reason; both reach the caller, so neither may tell what the caller must not know.
 */
export class Problem extends Error {
  override readonly name = 'Problem';
  /** HTTP status, 400 to 599. */
  readonly status: number;
  readonly code: string;
  readonly field: string | undefined;
  /** Seconds, sent as `Retry-After`. */
  readonly retryAfter: number | undefined;

  constructor(
    status: number,
    code: string,
    detail: string,
    options: { field?: string | undefined; retryAfter?: number; cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = status;
    this.code = code;
    this.field = options.field;
    this.retryAfter = options.retryAfter;
  }

  toJSON(): Record<string, unknown> {
    return {
      type: 'about:blank',
      title: STATUS_CODES[this.status] ?? 'Error',
      status: this.status,
      code: this.code,
      detail: this.message,
      ...(this.field === undefined ? {} : { field: this.field }),
    };
  }
}
