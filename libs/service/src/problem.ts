import { STATUS_CODES } from 'node:http';
import { CodedError, type CodedErrorOptions } from '@signet/contracts';

/**
 * An answer that a route gives by throwing: RFC 9457 problem details. `code` is stable, and `detail` names the field
 * and the reason; both reach the caller, so neither may tell what the caller must not know.
 */
export class Problem extends CodedError {
  /** HTTP status, 400 to 599. */
  readonly status: number;
  /** Seconds, sent as `Retry-After`. */
  readonly retryAfter: number | undefined;

  constructor(
    status: number,
    code: string,
    detail: string,
    options: CodedErrorOptions & { readonly retryAfter?: number | undefined } = {},
  ) {
    super(code, detail, options);
    this.status = status;
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
