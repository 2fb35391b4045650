import type { ConfigFile, ConfigLogEntry, DeviceKeys } from '@signet/contracts';
import { decodePem, encryptConfigValue } from '@signet/pki';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { plainText, readConfigFiles } from '../config-files.ts';
import { action, type Context, type Environment } from '../context.ts';
import { facts, table } from '../output.ts';

type Layer = { group?: string; wholeAccount?: boolean };
type Config = {
  version: number;
  files: ConfigFile[];
  effective?: (ConfigFile & { layer: string })[];
  appliedVersion?: number;
  appliedAt?: string;
  rotationId?: string;
};

/** `signet devices config …`, and the same for groups and the account. */
export function deviceConfigCommands(program: Command, environment: Environment): void {
  const devices = program.commands.find((command) => command.name() === 'devices');
  if (devices === undefined) throw new Error('devices: its commands come first');
  const config = devices.command('config').description('config files of a device, a group or the account');

  layer(config.command('set [device] [files...]'))
    .description('write files: <name>=<file>, or <name>=- for standard input; encrypted to the device’s key')
    .option('--plain', 'in plain text: the platform and its operators can read it')
    .option('--on-changed <command...>', 'the command that the device runs after a file changes')
    .option('--reason <text>', 'reason, for the log')
    .action(action(program, environment, set));

  layer(config.command('get [device] [name]'))
    .description('list the files and the layer of each; or print one file')
    .action(action(program, environment, get));

  layer(config.command('log [device]'))
    .description('list the last 50 changes, newest first')
    .action(
      action(program, environment, async ({ api, list }, device: string | undefined, of: Layer) => {
        const [target] = place(device, [], of);
        const { items } = await api.get<{ items: ConfigLogEntry[] }>(`${pathOf(target, of)}/log`);
        await list(items, {
          version: (e) => e.version,
          time: (e) => e.at,
          by: (e) => e.by,
          layer: (e) => e.layer,
          changed: (e) => e.set.join(' '),
          removed: (e) => e.removed.join(' '),
          reason: (e) => e.reason,
        });
      }),
    );

  layer(config.command('delete [device] [names...]'))
    .description('remove files')
    .option('--reason <text>', 'reason, for the log')
    .action(
      action(
        program,
        environment,
        async ({ api, say }, device: string | undefined, rest: string[], of: Layer & { reason?: string }) => {
          const [target, names] = place(device, rest, of);
          if (names.length === 0) throw new CliError('name the files to delete');
          const done = await api.post<{ version: number }>(`${pathOf(target, of)}/delete`, {
            ...{ names, reason: of.reason },
          });
          say(done, () => `config is version ${done.version}`);
        },
      ),
    );
}

function layer(command: Command): Command {
  return command
    .option('--group <group>', "the group's layer instead of a device's")
    .option('--whole-account', "the account's layer instead of a device's");
}

type SetOptions = Layer & { plain?: boolean; onChanged?: string[]; reason?: string };

async function set(
  { api, say, stdin }: Context,
  device: string | undefined,
  rest: string[],
  options: SetOptions,
): Promise<void> {
  const [target, named] = place(device, rest, options);
  if (named.length === 0) throw new CliError('name the files to write, as <name>=<file>');
  const read = await readConfigFiles(named, stdin);
  const seal = options.plain === true ? undefined : await sealer(api, target);
  const files = read.map((file) => ({
    name: file.name,
    ...(seal === undefined || file.content.length === 0
      ? { value: plainText(file), unencrypted: true }
      : { value: seal(file.content) }),
    ...(options.onChanged === undefined ? {} : { 'on-changed': options.onChanged }),
  }));
  const done = await api.put<{ version: number }>(pathOf(target, options), { files, reason: options.reason });
  say(done, () => `config is version ${done.version}`);
}

/** Encrypts to the key that the device has now. */
async function sealer(api: Context['api'], device: string | undefined): Promise<(content: Buffer) => string> {
  if (device === undefined)
    throw new CliError('several devices read this layer, so its files cannot be encrypted: give --plain');
  const view = await api.get<{ keys?: DeviceKeys }>(`/v1/accounts/{account}/devices/${segment(device)}`);
  const key = view.keys?.current?.publicKey;
  if (key === undefined)
    throw new CliError(`${device} has no key to encrypt to yet; give --plain, or wait until it has enrolled`);
  const spki = decodePem(key, 'PUBLIC KEY');
  return (content) => encryptConfigValue(spki, content);
}

async function get(
  { api, say }: Context,
  device: string | undefined,
  name: string | undefined,
  options: Layer,
): Promise<void> {
  const [target, [wanted]] = place(device, name === undefined ? [] : [name], options);
  const config = await api.get<Config>(pathOf(target, options));
  const files = config.effective ?? config.files.map((file) => ({ ...file, layer: 'this layer' }));
  if (wanted !== undefined) {
    const file = files.find((each) => each.name === wanted);
    if (file === undefined) throw new CliError(`no file "${wanted}" in it`);
    say(file, () => file.value);
    return;
  }
  say(config, () =>
    [
      facts({
        version: config.version,
        applied: config.appliedVersion && `version ${config.appliedVersion} at ${config.appliedAt}`,
        'locked by': config.rotationId && `rotation ${config.rotationId}`,
      }),
      table(
        ['file', 'layer', 'bytes', 'encrypted', 'on-changed'],
        files.map((f) => [
          f.name,
          f.layer,
          Buffer.byteLength(f.value),
          f.unencrypted ? 'no' : 'yes',
          f['on-changed']?.join(' '),
        ]),
      ),
    ].join('\n\n'),
  );
}

/** With --group or --whole-account there is no device, and what stands in its place is the first of the rest. */
function place(
  device: string | undefined,
  rest: string[],
  { group, wholeAccount }: Layer,
): [string | undefined, string[]] {
  if (group !== undefined && wholeAccount === true)
    throw new CliError('--group or --whole-account, not both');
  if (group === undefined && wholeAccount !== true) {
    if (device === undefined) throw new CliError('name a device, or give --group or --whole-account');
    return [device, rest];
  }
  return [undefined, device === undefined ? rest : [device, ...rest]];
}

function pathOf(device: string | undefined, { group }: Layer): string {
  if (device !== undefined) return `/v1/accounts/{account}/devices/${segment(device)}/config`;
  const of = group === undefined ? '' : `/groups/${segment(group)}`;
  return `/v1/accounts/{account}${of}/config`;
}

const segment = encodeURIComponent;
