import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { CliError, messageOf } from './cli-error.ts';

/** A file that the person at the terminal named. @throws CliError */
export async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw new CliError(namedFailure(file, cause), { cause });
  });
}

/** The same, as it is. @throws CliError */
export async function readBytes(file: string): Promise<Buffer> {
  return readFile(file).catch((cause: unknown) => {
    throw new CliError(namedFailure(file, cause), { cause });
  });
}

/** The JSON value of a file, as the schema has it. @throws CliError */
export async function readJson<S extends z.ZodType>(file: string, schema: S): Promise<z.output<S>> {
  const text = await readText(file);
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? 'is not JSON' : messageOf(cause);
    throw new CliError(`${file}: ${reason}`, { cause });
  }
}

/** What is wrong with a file that was named; the name stands in front once. */
export function namedFailure(file: string, cause: unknown): string {
  const message = messageOf(cause);
  return message.startsWith(`${file}: `) ? message : `${file}: ${message}`;
}
