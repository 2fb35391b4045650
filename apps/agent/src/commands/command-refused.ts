import type { CommandRefusal } from '@signet/contracts';

/** Why a command is not done. `id`: its own, where the signature is good. */
export class CommandRefused extends Error {
  override readonly name = 'CommandRefused';
  readonly code: CommandRefusal;
  readonly id: string | undefined;

  constructor(code: CommandRefusal, message: string, options: { id?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.id = options.id;
  }
}
