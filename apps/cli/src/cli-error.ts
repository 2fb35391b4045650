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

const SYSTEM: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'no permission',
  EPERM: 'no permission',
  EISDIR: 'is a folder; a file is expected',
  ENOTDIR: 'a part of this path is no folder',
  EEXIST: 'exists already',
  ENOSPC: 'the disk is full',
  EROFS: 'the disk is read-only',
};

/** One line about what a command failed with, whatever threw it: a person is never shown a stack trace. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, path } = error as NodeJS.ErrnoException;
  const reason = code === undefined || path === undefined ? undefined : SYSTEM[code];
  return reason === undefined ? error.message : `${path}: ${reason}`;
}
