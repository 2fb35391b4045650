import type { z } from 'zod';
import { CodedError } from './coded-error.ts';

/** A request/reply operation: what is asked, what is answered, and the error codes that a caller must expect. */
export type Operation<
  Input extends z.ZodType = z.ZodType,
  Output extends z.ZodType = z.ZodType,
  Code extends string = string,
> = {
  /** `<service>.<verb>`; unique. */
  readonly name: string;
  readonly input: Input;
  readonly output: Output;
  readonly errors: readonly Code[];
  /** Carrying it out twice is as good as once: where no answer comes soon, another replica is asked too. */
  readonly idempotent: boolean;
};

export type OperationInput<O extends Operation> = z.input<O['input']>;
/** The input as whoever serves the operation gets it: parsed, with defaults filled in. */
export type ParsedInput<O extends Operation> = z.output<O['input']>;
export type OperationOutput<O extends Operation> = z.output<O['output']>;
export type OperationCode<O extends Operation> = O['errors'][number];

/** Codes that any operation may answer besides its own. */
export const commonCodes = ['invalid-input', 'unavailable', 'deadline-exceeded', 'internal'] as const;
export type CommonCode = (typeof commonCodes)[number];

export function operation<I extends z.ZodType, O extends z.ZodType, const C extends string>(
  name: string,
  shape: { input: I; output: O; errors: readonly C[]; idempotent?: boolean },
): Operation<I, O, C> {
  return { name, idempotent: false, ...shape };
}

/** What an operation fails with, on both sides of the bus. `field` names the input field at fault, if one is. */
export class OperationError extends CodedError {}
