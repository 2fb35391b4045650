import {
  BackendError,
  CodedError,
  commonCodes,
  isUnavailable,
  type Operation,
  OperationError,
} from '@signet/contracts';
import { z } from 'zod';
import type { Log } from './log.ts';
import { readJson } from './read-json.ts';

/** The answer on the wire: either `output`, or the error. */
const Answer = z.union([
  z.object({ error: z.object({ code: z.string(), message: z.string(), field: z.string().optional() }) }),
  z.object({ output: z.unknown() }),
]);

export type Reply = { readonly body: string; readonly errorCode: string | undefined };

/**
 * The serving side of one request. Input is parsed, output is checked; errors are answered as `Rpc.serve` says.
 */
export async function answer(
  operation: Operation,
  handler: (input: unknown) => Promise<unknown>,
  request: string,
  log: Log,
): Promise<Reply> {
  try {
    const output = await handler(parseInput(operation, request));
    const checked = operation.output.safeParse(output);
    if (!checked.success) throw new Error(`output of ${operation.name}: ${checked.error.message}`);
    return { body: JSON.stringify({ output }), errorCode: undefined };
  } catch (error) {
    const { code, message, field } = presentable(operation, error, log);
    return { body: JSON.stringify({ error: { code, message, field } }), errorCode: code };
  }
}

/**
 * The serving side where the caller is in the same process. Input and output cross as JSON, so that nobody shares an
 * object with the other side, and are parsed once each.
 * @returns the parsed output
 * @throws OperationError as {@link answer} answers it
 */
export async function answerHere(
  operation: Operation,
  handler: (input: unknown) => Promise<unknown>,
  request: string,
  log: Log,
): Promise<unknown> {
  try {
    const text = JSON.stringify(await handler(parseInput(operation, request)));
    const checked = operation.output.safeParse(text === undefined ? undefined : JSON.parse(text));
    if (checked.success) return checked.data;
    throw new Error(`output of ${operation.name}: ${checked.error.message}`);
  } catch (error) {
    const { code, message, field } = presentable(operation, error, log);
    throw new OperationError(code, message, { field });
  }
}

/** The caller's side: the parsed output, or the OperationError that the answer stands for. */
export function readAnswer<O extends z.ZodType>(
  operation: Operation<z.ZodType, O>,
  body: string,
  log: Log,
): z.output<O> {
  const answered = parseJson(Answer, body);
  if (answered !== undefined && 'error' in answered) {
    const { code, message, field } = answered.error;
    throw new OperationError(code, message, { field });
  }
  const output = operation.output.safeParse(answered?.output);
  if (answered === undefined || !output.success) {
    log.error(
      { operation: operation.name, err: output.error },
      'an operation was answered with something else',
    );
    throw new OperationError('internal', `${operation.name}: the answer does not have the agreed shape`);
  }
  return output.data;
}

function parseInput(operation: Operation, request: string): unknown {
  let json: unknown;
  try {
    json = readJson(request);
  } catch (cause) {
    throw new OperationError('invalid-input', `${operation.name}: the input is not JSON`, { cause });
  }
  const parsed = operation.input.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  const reason = issue?.message ?? 'not valid';
  throw new OperationError('invalid-input', field === '' ? reason : `${field}: ${reason}`, {
    ...(field === '' ? {} : { field }),
    cause: parsed.error,
  });
}

/**
 * What the caller is told: an OperationError of its own, what the operation's list of errors names, and what may succeed
 * later. The text of a backend's error is not for callers.
 */
function presentable(operation: Operation, error: unknown, log: Log): OperationError {
  if (error instanceof OperationError && (operation.errors.includes(error.code) || isCommon(error.code)))
    return error;
  if (
    error instanceof CodedError &&
    !(error instanceof BackendError) &&
    operation.errors.includes(error.code)
  )
    return new OperationError(error.code, error.message, { field: error.field, cause: error });
  if (isUnavailable(error))
    return new OperationError('unavailable', `${operation.name}: store or bus does not answer`);
  if (error instanceof BackendError && error.code === 'wrong-cursor')
    return new OperationError('invalid-input', error.message, { field: 'cursor', cause: error });
  log.error({ operation: operation.name, err: error }, 'an operation failed');
  return new OperationError('internal', `${operation.name} failed`);
}

const common: ReadonlySet<string> = new Set(commonCodes);
const isCommon = (code: string): boolean => common.has(code);

function parseJson<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(readJson(text)).data;
  } catch {
    return undefined;
  }
}
