export type QueueErrorCode =
  | 'bad-url'
  | 'too-many-queues'
  | 'queue-exists'
  | 'unknown-queue'
  | 'not-a-pull-queue'
  | 'not-handed-out';

/** What an operator asked of an event queue cannot be; `field` names what is at fault. */
export class QueueError extends Error {
  override readonly name = 'QueueError';
  readonly code: QueueErrorCode;
  readonly field: string;

  constructor(code: QueueErrorCode, message: string, field: string) {
    super(message);
    this.code = code;
    this.field = field;
  }
}
