export const messageErrorCodes = [
  /** Not a topic that this device may publish to. */
  'bad-topic',
  'too-large',
  /** As many messages or bytes wait as may. */
  'queue-full',
  /** The disk did not take it. */
  'disk',
  /** The agent is about to end. */
  'stopping',
  /** What was asked of the local interface is none of its requests. */
  'bad-request',
  /** No agent answers at the socket. */
  'no-agent',
] as const;
export type MessageErrorCode = (typeof messageErrorCodes)[number];

/** Why a message was not taken. `field` is what it is about. */
export class MessageError extends Error {
  override readonly name = 'MessageError';
  readonly code: MessageErrorCode;
  readonly field: string;

  constructor(code: MessageErrorCode, field: string, reason: string, cause?: unknown) {
    super(`${field}: ${reason}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.field = field;
  }
}
