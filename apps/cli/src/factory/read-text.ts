import { readFile } from 'node:fs/promises';
import { CliError } from '../cli-error.ts';

/** A file that the person at the terminal named. @throws CliError */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new CliError(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
