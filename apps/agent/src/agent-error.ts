export type AgentErrorCode =
  | 'not-a-device-folder'
  | 'broken-folder'
  | 'folder-in-use'
  | 'refused'
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
  | 'key-holder';

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
    return (
      ['unreachable', 'key-holder', 'disk'].includes(code) ||
      status === 408 ||
      status === 429 ||
      status >= 500
    );
  }
}
