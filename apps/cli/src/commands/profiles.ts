import type {
  createProfile,
  dryRunProfile,
  EnrollmentProfile,
  listProfiles,
  OperationOutput,
  ProfileChanges,
} from '@signet/contracts';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { action, type Context, type Environment } from '../context.ts';
import { facts } from '../output.ts';
import { readText } from '../read-input.ts';

type WithSecrets = OperationOutput<typeof createProfile>;
type Settings = { set?: string[]; file?: string };

const BASE = '/v1/accounts/{account}/profiles';

export function profileCommands(program: Command, environment: Environment): void {
  const profiles = program
    .command('profiles')
    .description('enrollment profiles: what is issued, to whom, and how');

  profiles
    .command('list')
    .description('list the profiles of the account')
    .action(
      action(program, environment, async ({ api, list }) => {
        const { items } = await api.get<OperationOutput<typeof listProfiles>>(BASE);
        await list(items, {
          label: (p) => p.label,
          authentication: (p) => p.authentication,
          keys: (p) => p.keyKinds.join(' '),
          days: (p) => p.validityDays,
          renewed: (p) => p.renewedValidityDays ?? p.validityDays,
          approval: (p) => p.approval,
          made: (p) => (p.stored ? 'here' : 'by default'),
        });
      }),
    );

  profiles
    .command('show <name>')
    .description('show every setting of a profile')
    .action(
      action(program, environment, async ({ api, say }, name: string) => {
        const { items } = await api.get<OperationOutput<typeof listProfiles>>(BASE);
        const profile = items.find((item) => item.name === name);
        if (profile === undefined) throw new CliError(`no profile "${name}"`);
        say(profile, () => describe(profile));
      }),
    );

  settings(profiles.command('create <name>').description('create a profile')).action(
    action(program, environment, async (context, name: string, options: Settings) => {
      const made = await context.api.post<WithSecrets>(BASE, { name, settings: await read(options) });
      report(context, made);
    }),
  );

  settings(
    profiles
      .command('change <name>')
      .description('change settings; settings that are not given keep their value'),
  )
    .option(
      '--new-secrets',
      'make a new shared secret and webhook key; the old ones are rejected from now on',
    )
    .action(
      action(
        program,
        environment,
        async (context, name: string, options: Settings & { newSecrets?: boolean }) => {
          const { newSecrets = false } = options;
          const changed = await context.api.put<WithSecrets>(`${BASE}/${encodeURIComponent(name)}`, {
            settings: await read(options),
            newSecrets,
          });
          report(context, changed);
        },
      ),
    );

  profiles
    .command('remove <name>')
    .description('remove a profile; certificates that it issued renew under the default profile')
    .action(
      action(program, environment, async ({ api, say }, name: string) => {
        await api.delete(`${BASE}/${encodeURIComponent(name)}`);
        say({ removed: name }, () => `profile "${name}" is removed`);
      }),
    );

  settings(
    profiles
      .command('dry-run <name>')
      .description('show what a profile would issue for a CSR; nothing is issued'),
  )
    .requiredOption('--csr <file>', 'PKCS#10 request in PEM')
    .requiredOption('--device <id>', 'the device that would use the certificate')
    .action(action(program, environment, dryRun));
}

type DryRun = OperationOutput<typeof dryRunProfile>;

async function dryRun(
  { api, say }: Context,
  name: string,
  options: Settings & { csr: string; device: string },
): Promise<void> {
  const changes = await read(options);
  const result = await api.post<DryRun>(`${BASE}/${encodeURIComponent(name)}/dry-run`, {
    deviceId: options.device,
    csr: await readText(options.csr),
    ...(Object.keys(changes).length === 0 ? {} : { settings: changes }),
  });
  const { refusals, certificate } = result;
  say(result, () =>
    [
      ...refusals.map(({ code, message }) => `refused: ${code}: ${message}`),
      facts({
        subject:
          certificate &&
          Object.entries(certificate.subject)
            .map(([k, v]) => `${k}=${v}`)
            .join(', '),
        names: certificate?.subjectAltNames.join(', '),
        key: certificate?.keyType,
        issuer: certificate?.authorityId,
        'valid until': certificate?.notAfter,
        approval: result.approval ? 'an operator must approve it' : 'not needed',
        webhook: result.webhook,
        csrattrs: result.csrAttributes,
      }),
    ].join('\n'),
  );
  if (refusals.length > 0) throw new CliError(`the CSR would be refused`);
}

function settings(command: Command): Command {
  return command
    .option('--file <file>', 'settings as a JSON object')
    .option('--set <setting=value...>', 'one setting; the value is JSON or plain text');
}

async function read({ set = [], file }: Settings): Promise<ProfileChanges> {
  const given: Record<string, unknown> = file === undefined ? {} : parse(await readText(file), file);
  for (const pair of set) {
    const at = pair.indexOf('=');
    if (at < 1) throw new CliError(`--set ${pair}: <setting>=<value> expected`);
    given[pair.slice(0, at)] = value(pair.slice(at + 1));
  }
  return given as ProfileChanges;
}

function parse(text: string, file: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new CliError(`${file}: not JSON`, { cause });
  }
}

function value(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function report({ say }: Context, { profile, sharedSecret, webhookSecret }: WithSecrets): void {
  say({ profile, sharedSecret, webhookSecret }, () =>
    [
      describe(profile),
      ...(sharedSecret === undefined ? [] : [`shared secret, shown this once: ${sharedSecret}`]),
      ...(webhookSecret === undefined ? [] : [`webhook key, shown this once: ${webhookSecret}`]),
    ].join('\n'),
  );
}

function describe(profile: EnrollmentProfile): string {
  const shown = Object.entries(profile).map(([name, setting]) => [
    name,
    typeof setting === 'object' ? JSON.stringify(setting) : setting,
  ]);
  return facts(Object.fromEntries(shown));
}
