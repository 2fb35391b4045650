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
