export type AgentErrorCode =
  | 'not-a-device-folder'
  | 'broken-folder'
  | 'folder-in-use'
  | 'refused'
  /** The platform has no record of this device's certificate: only bootstrap helps. */
  | 'not-on-record'
  | 'unreachable'
  | 'bad-answer'
  | 'not-enrolled'
  /** A config that this device cannot read or apply. */
  | 'bad-config'
  /** Software that is not what its config says, or that nobody vouches for. */
  | 'bad-update'
  /** A file of the device that cannot be written now. */
  | 'disk'
  /** `users.json` does not say whom to tell of a new identity. */
  | 'bad-users'
  /** `--identity-group` names no group of this machine. */
  | 'bad-group'
  /** A `sota.toml` that cannot be followed, or a folder that has a device already. */
  | 'bad-import'
  /** A key that cannot be read, or whose holder is not known. */
  | 'bad-key'
  /** `--key` is not what it should be. */
  | 'bad-key-spec'
  /** The TPM or token does not answer, or does not do what it should. */
  | 'key-holder'
  /** The token refused the PIN, which is not tried again until another one is given. */
  | 'pin-refused';

/** What the agent fails with. `status` is the HTTP status of a refusal, `retryAfter` what it said to wait, in seconds. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly code: AgentErrorCode;
  readonly status: number | undefined;
  readonly retryAfter: number | undefined;
  /** The code of a refusal, where the platform said one: `blocked`, `wrong-grant`. */
  readonly refusal: string | undefined;

  constructor(
    code: AgentErrorCode,
    message: string,
    options: {
      status?: number;
      retryAfter?: number | undefined;
      refusal?: string | undefined;
      cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status;
    this.retryAfter = options.retryAfter;
    this.refusal = options.refusal;
  }

  /** Whether the same request may go through later. */
  get isPassing(): boolean {
    const { code, status = 0 } = this;
    return (
      ['unreachable', 'key-holder', 'pin-refused', 'disk'].includes(code) ||
      status === 408 ||
      status === 429 ||
      status >= 500
    );
  }
}

/** What the operating system says of a file, and what to do about it. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on the disk; free some, and the agent goes on',
  EDQUOT: 'the quota of this user is used up; free some space, and the agent goes on',
  EROFS: 'the file system is read-only; mount it writable, and the agent goes on',
  EACCES: 'this user has no permission; check the owner and mode of it and of its folder',
  EPERM: 'this user has no permission; check the owner and mode of it and of its folder',
  EIO: 'the disk failed to read or write it; check the disk',
  EMFILE: 'too many open files; raise the limit of this process',
  ENFILE: 'too many open files; raise the limit of this machine',
  ENOENT: 'no such file or folder',
  EEXIST: 'something lies in its place; move it',
  EISDIR: 'a folder lies in its place; move it',
  ENOTDIR: 'a part of its path is not a folder',
  ENOTEMPTY: 'a folder that is not empty lies in its place; move it',
  ENAMETOOLONG: 'its path is too long',
  ELOOP: 'its path has too many symbolic links',
  EBUSY: 'something else uses it',
  EFBIG: 'it would become larger than a file may be',
  ETXTBSY: 'something runs it',
  EXDEV: 'it lies on another file system',
};

/** What the operating system says of a file; undefined for any other error. */
export function systemReason(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return undefined;
  const advice = ADVICE[String(error.code)];
  return advice === undefined ? undefined : `${advice} (${error.code})`;
}

/**
 * The first of errors that were combined, since one came while another was cleaned up after, as the agent's own: what the
 * operating system says of a file is `disk`, with a word of advice. Undefined where it is neither.
 */
export function ownError(combined: unknown, path?: string): AgentError | undefined {
  const error = firstOf(combined);
  if (error instanceof AgentError) return error;
  const reason = systemReason(error);
  if (reason === undefined) return undefined;
  const named = path ?? (error instanceof Error && 'path' in error ? String(error.path) : undefined);
  return new AgentError('disk', named === undefined ? reason : `${named}: ${reason}`, { cause: error });
}

/** As {@link ownError}; throws on what is neither, since nobody knows what it means. */
export function requireOwnError(error: unknown): AgentError {
  const own = ownError(error);
  if (own === undefined) throw error;
  return own;
}

/** What went wrong first. */
export function firstOf(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  // by its name: a Node without explicit resource management has another class for it
  if (error.name === 'SuppressedError' && 'suppressed' in error) return firstOf(error.suppressed);
  return error instanceof AggregateError && error.errors.length > 0 ? firstOf(error.errors[0]) : error;
}
