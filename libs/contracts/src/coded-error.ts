export type CodedErrorOptions = {
  readonly cause?: unknown;
  /** Path of the field that the message is about, e.g. `config.mode`. */
  readonly field?: string | undefined;
};

/**
 * An error that callers decide by: `code` is stable and lower-case with hyphens, the message names the field and the
 * reason, for people. Every error class of ours is one:
 *
 *     export class QueueError extends CodedError<'unknown-queue' | 'queue-full'> {}
 *
 * An operation answers with an error whose code is on its own list ({@link Operation}); HTTP edges map the same codes by
 * one table. Nobody decides by a message.
 */
export abstract class CodedError<C extends string = string> extends Error {
  readonly code: C;
  readonly field: string | undefined;

  constructor(code: C, message: string, { cause, field }: CodedErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.field = field;
  }
}

/**
 * What a store, a bus or a database fails with. Its code is for the code that called it, its message for the log: no
 * edge answers with either.
 */
export abstract class BackendError<C extends string = string> extends CodedError<C> {}

/** What a disk answers with when it takes nothing, or gives nothing: not our fault, and over by itself some time. */
const STORAGE_CODES: ReadonlySet<unknown> = new Set([
  'ENOSPC',
  'EDQUOT',
  'EIO',
  'EROFS',
  'EFBIG',
  'ENFILE',
  'EMFILE',
]);

/** Whether this is what the file system fails with while a disk is full, broken or read-only. */
export function isStorageFailure(error: unknown): error is Error & { readonly path?: string } {
  return error instanceof Error && 'code' in error && 'syscall' in error && STORAGE_CODES.has(error.code);
}

/** Whether this is what store, bus and disk fail with while they are unavailable: the same may succeed later. */
export function isUnavailable(error: unknown): boolean {
  return isStorageFailure(error) || (error instanceof BackendError && error.code === 'unavailable');
}
