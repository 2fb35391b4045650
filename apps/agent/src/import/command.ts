import { readFile } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import type { Command } from 'commander';
import { AgentError } from '../agent-error.ts';
import { DeviceFolder } from '../device-folder.ts';
import { leaf } from '../identity.ts';
import { parseKeys } from '../keys/device-keys.ts';
import { type ImportOptions, readImport, requireEmpty, writeImport } from './import-device.ts';
import { readSotaToml } from './sota-toml.ts';

/** `import`: from a device of the original clients to one of this agent. */
export function addImportCommand(program: Command): void {
  program
    .command('import')
    .description('make the device folder from the sota.toml of aktualizr-lite and fioconfig')
    .argument('<sota.toml>', 'as lmp-device-register wrote it')
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--est <url>', 'the EST service; by default https://<host of the gateway>:8443')
    .option('--mqtt <url>', 'the broker; by default mqtts://<host of the gateway>:8883')
    .option('--bootstrap <url>', 'the bootstrap service; by default https://<host of the gateway>:8444')
    .option('--account <account>', 'by default the O of the certificate')
    .option('--certificate <file>', 'the certificate, where it lies in a token')
    .option('--key-label <label>', 'label of the key in its token', 'tls')
    .action(async (file: string, { dryRun, ...options }: ImportOptions & { dryRun?: true }) => {
      const path = resolve(program.opts<{ folder: string }>().folder);
      for (const line of await importDevice(file, path, { ...options, isDry: dryRun === true }))
        console.log(line);
    });
}

/** Imports a device into the folder `path`; says what was done, or with `isDry` would be. @throws AgentError `bad-import` */
export async function importDevice(
  file: string,
  path: string,
  { isDry, ...options }: ImportOptions & { readonly isDry: boolean },
): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch((cause: Error) => {
    throw new AgentError('bad-import', cause.message, { cause });
  });
  const settings = readSotaToml(text);
  const target = isAbsolute(path) ? path : resolve(path);
  const given = await readImport(settings, { path: target }, options);
  const folder = new DeviceFolder(target, parseKeys(given.keySpec, target));
  await requireEmpty(folder);
  if (!isDry) await writeImport(folder, given);
  const { bundle, identity, keySpec } = given;
  const { serialNumber, notAfter } = leaf(identity);
  const lines = {
    folder: `${target}${isDry ? ' (nothing was written)' : ''}`,
    device: `${bundle.account}/${bundle.deviceId}`,
    certificate: `${serialNumber}, until ${new Date(notAfter).toISOString()}`,
    key: keySpec === 'file:' ? 'copied, for its owner alone' : `stays in its token: --key '${keySpec}'`,
    gateway: bundle.gateway.url,
    est: `${bundle.est.url} (${bundle.est.label})`,
    mqtt: bundle.mqtt.url,
    ignored: settings.ignored.join(' ') || 'nothing',
  };
  return Object.entries(lines).map(([name, value]) => `${name.padEnd(12)} ${value}`);
}
