import { join } from 'node:path';
import { replaceFile } from '@signet/files';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { action, type Context, type Environment } from '../context.ts';
import { bootstrapUrlAt } from '../factory/bootstrap-url.ts';
import { cloudInit, imageFiles, kickstart } from '../factory/image-files.ts';

type Options = {
  out?: string;
  kickstart?: true;
  cloudInit?: true;
  path: string;
  agent: string;
  bootstrap?: string;
};

export function factoryBundleCommand(
  factory: Command,
  program: Command,
  environment: Environment,
  bootstrapUrl: string | undefined,
): void {
  factory
    .command('bundle <device>')
    .description(
      'write the files that an image needs to onboard unattended; <device>: a device folder, or a certificate file if the device holds its own key',
    )
    .option('--out <folder>', 'write the files below this folder, with their paths in the image')
    .option('--kickstart', 'print the %post section of a kickstart file')
    .option('--cloud-init', 'print a #cloud-config')
    .option('--path <path>', 'the device folder in the image', '/var/lib/signet-agent')
    .option('--agent <path>', 'the agent in the image', '/usr/local/bin/signet-agent')
    .option(
      '--bootstrap <url>',
      'URL of the bootstrap service for the device (SIGNET_BOOTSTRAP_URL; else port 8444 of the API’s host)',
      bootstrapUrl,
    )
    .action(action(program, environment, bundle, { offline: true }));
}

async function bundle({ api, list, print }: Context, source: string, options: Options): Promise<void> {
  const { out, path, agent, bootstrap = bootstrapUrlAt(api.settings) } = options;
  for (const [name, value] of Object.entries({ path, agent }))
    if (!/^\/[A-Za-z0-9._/-]+$/.test(value))
      throw new CliError(`--${name} ${value}: a path of letters, digits, ".", "_" and "-", from the root`);
  const wanted = [out, options.kickstart, options.cloudInit].filter((one) => one !== undefined);
  if (wanted.length !== 1) throw new CliError('give one of --out <folder>, --kickstart, --cloud-init');
  const files = await imageFiles(source, { path, agent, bootstrap });
  if (out === undefined) {
    print(options.kickstart === true ? kickstart(files) : cloudInit(files));
    return;
  }
  for (const file of files) await replaceFile(join(out, file.path), file.text);
  await list(
    files.map((file) => file.path),
    () => files.map(({ path: inImage, mode }) => `${mode} ${inImage}`).join('\n'),
  );
}
