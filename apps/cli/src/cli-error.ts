import { z } from 'zod';

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
  EDQUOT: 'the quota of the disk is used up',
  EFBIG: 'the file would be too large',
  EIO: 'the disk failed',
  EMFILE: 'too many files are open',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links go in a circle',
  ERR_FS_FILE_TOO_LARGE: 'the file is too large',
  EROFS: 'the disk is read-only',
};

/** One line about what a command failed with, whatever threw it: a person is never shown a stack trace. */
export function messageOf(error: unknown): string {
  return wordsOf(error)
    .trim()
    .replace(/\s*\n\s*/g, ' ');
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof z.ZodError)
    return error.issues
      .map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`))
      .join('; ');
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map(wordsOf).join('; ') || error.name;
  const { code, path } = error as NodeJS.ErrnoException;
  const reason = code === undefined ? undefined : SYSTEM[code];
  if (reason === undefined) return error.message || error.name;
  return path === undefined ? reason : `${path}: ${reason}`;
}

/** Whether nobody outside caused it: a fault of this program. */
export const isOurFault = (error: unknown): boolean =>
  error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError;
