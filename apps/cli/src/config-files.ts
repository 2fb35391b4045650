import { CliError } from './cli-error.ts';
import { readBytes } from './read-input.ts';

/** A file of a config as it was read. */
export type ReadFile = { readonly name: string; readonly content: Buffer };

/**
 * Files of a config as the command line names them: `name=file`, or `name=-` for what comes on standard input; a file's
 * own name is its name where none is given.
 */
export async function readConfigFiles(
  named: readonly string[],
  stdin: AsyncIterable<Uint8Array>,
): Promise<ReadFile[]> {
  return Promise.all(
    named.map(async (each) => {
      const at = each.indexOf('=');
      const path = each.slice(at + 1);
      const name = at < 0 ? (path.split('/').at(-1) ?? path) : each.slice(0, at);
      if (name === '' || path === '') throw new CliError(`"${each}": <name>=<file> expected`);
      const content = path === '-' ? await readAll(stdin) : await readBytes(path);
      return { name, content };
    }),
  );
}

/** The content as a value in plain text, which JSON carries as UTF-8 alone. @throws CliError */
export function plainText({ name, content }: ReadFile): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch (cause) {
    throw new CliError(
      `${name}: not UTF-8 text, so it cannot be stored in plain text; encrypt it, or encode it first`,
      {
        cause,
      },
    );
  }
}

async function readAll(stdin: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(stdin));
}
