/** What a command fails with, in words for the person at the terminal. Exit code 1. */
export class CliError extends Error {
  override readonly name = 'CliError';
  /** The API's code, where it was the API that refused. */
  readonly code: string | undefined;

  /** Whether nothing answered at all. */
  readonly isUnreachable: boolean;

  constructor(
    message: string,
    options: { code?: string | undefined; isUnreachable?: boolean; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.isUnreachable = options.isUnreachable ?? false;
  }
}
