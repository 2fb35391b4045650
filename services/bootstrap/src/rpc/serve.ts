import type { Bus, Subscription } from '@signet/bus';
import { BackendError, CodedError, type Operation, OperationError } from '@signet/contracts';
import type { z } from 'zod';

/** An operation with the use case that carries it out. */
export type Served = (bus: Bus) => Promise<Subscription>;

/** What a use case fails with keeps its code, message and field: `contracts` lists them for each operation. */
export function served<I extends z.ZodType, O extends z.ZodType, C extends string>(
  operation: Operation<I, O, C>,
  carryOut: (input: z.output<I>) => Promise<z.input<O>>,
): Served {
  return (bus) =>
    bus.serve(operation, async (input) => {
      try {
        return await carryOut(input);
      } catch (cause) {
        if (
          !(cause instanceof CodedError) ||
          cause instanceof BackendError ||
          cause instanceof OperationError
        )
          throw cause;
        const { code, message, field } = cause;
        throw new OperationError(code, message, { field, cause });
      }
    });
}
