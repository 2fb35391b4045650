import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { ArtifactEntry } from '@signet/contracts';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { action, type Environment } from '../context.ts';
import { wholeNumber } from '../parse-number.ts';
import { namedFailure } from '../read-input.ts';

type Options = {
  readonly name: string;
  readonly version: string;
  readonly from: string;
  readonly handler: string[];
  readonly timeout: number;
};

/** `signet updates sign`. */
export function updateCommands(program: Command, environment: Environment): void {
  program
    .command('updates')
    .description('software for devices')
    .command('sign <file>')
    .description('sign an artifact, and print the config file "signet-updates" that names it')
    .requiredOption('--name <name>', 'name of the software')
    .requiredOption(
      '--version <version>',
      'version of the software; devices fetch a version that they have not applied',
    )
    .requiredOption('--from <url>', 'URL from which devices fetch it, https://')
    .requiredOption('--handler <command...>', 'the program in the device’s handlers folder that installs it')
    .option('--timeout <seconds>', 'time limit of the handler, in seconds', wholeNumber(1), 600)
    .action(
      action(program, environment, async ({ api, json, text }, file: string, options: Options) => {
        const { name, version, from: url, handler, timeout } = options;
        const facts = { name, version, ...(await measured(file)) };
        const { jws } = await api.post<{ jws: string }>('/v1/accounts/{account}/artifacts/sign', facts);
        const checked = ArtifactEntry.safeParse({
          ...{ ...facts, url, jws, handler },
          timeoutSeconds: timeout,
        });
        if (!checked.success)
          throw new CliError(checked.error.issues.map(({ message }) => message).join('; '));
        const entries = [checked.data];
        text(`${JSON.stringify(entries, undefined, json ? 0 : 2)}\n`);
      }),
    );
}

async function measured(file: string): Promise<{ size: number; sha256: string }> {
  const hash = createHash('sha256');
  let size = 0;
  try {
    for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      size += chunk.length;
    }
  } catch (cause) {
    throw new CliError(namedFailure(file, cause), { cause });
  }
  return { size, sha256: hash.digest('hex') };
}
