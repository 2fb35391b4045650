import { readFile } from 'node:fs/promises';
import type { ConfigFile } from '@signet/contracts';
import { CliError } from './cli-error.ts';

/**
 * Files of a config as the command line names them: `name=file`, or `name=-` for what comes on standard input; a file's
 * own name is its name where none is given. Values are in plain text.
 */
export async function readConfigFiles(
  named: readonly string[],
  readStdin: () => Promise<string> = stdin,
): Promise<ConfigFile[]> {
  return Promise.all(
    named.map(async (each) => {
      const at = each.indexOf('=');
      const path = each.slice(at + 1);
      const name = at < 0 ? (path.split('/').at(-1) ?? path) : each.slice(0, at);
      if (name === '' || path === '') throw new CliError(`"${each}": <name>=<file> expected`);
      const value = path === '-' ? await readStdin() : await readFile(path, 'utf8').catch(notReadable(path));
      return { name, value, unencrypted: true };
    }),
  );
}

function notReadable(path: string) {
  return (cause: unknown): never => {
    throw new CliError(`${path}: cannot be read`, { cause });
  };
}

async function stdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString('utf8');
}
