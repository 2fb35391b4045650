/** What a disk answers with when it takes nothing, or gives nothing: not our fault, and over by itself some time. */
const CODES: ReadonlySet<unknown> = new Set([
  'ENOSPC',
  'EDQUOT',
  'EIO',
  'EROFS',
  'EFBIG',
  'ENFILE',
  'EMFILE',
]);

/** Whether this is what the file system fails with while a disk is full, broken or read-only. */
export function isStorageFailure(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && 'syscall' in error && CODES.has(error.code);
}
