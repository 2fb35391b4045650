import type {
  AccountSettings,
  BlockRule,
  BootstrapRedirect,
  OnboardingHook,
  OnboardingNotification,
} from '@signet/contracts';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { action, type Environment } from '../context.ts';
import { requireFingerprint } from '../fingerprint.ts';
import { facts, table } from '../output.ts';
import { readText } from '../read-input.ts';

/** How an account onboards its devices: settings, blocks beforehand, redirects, hooks. */
export function onboardingCommands(program: Command, environment: Environment): void {
  accountCommands(program, environment);
  blockCommands(program, environment);
  redirectCommands(program, environment);
  hookCommands(program, environment);
}

function accountCommands(program: Command, environment: Environment): void {
  const account = program.command('account').description('onboarding settings of the account');

  account
    .command('show')
    .description('show the settings')
    .action(
      action(program, environment, async ({ api, say }) => {
        const settings = await api.get<AccountSettings>('/v1/accounts/{account}/settings');
        say(settings, () => facts(shown(settings)));
      }),
    );

  account
    .command('set <setting> <value>')
    .description(
      'change a setting; `config.<name>` is passed to devices unchanged, an empty value removes it',
    )
    .action(
      action(program, environment, async ({ api, say }, name: string, value: string) => {
        const path = '/v1/accounts/{account}/settings';
        const changed = await api.put<AccountSettings>(
          path,
          name.startsWith('config.')
            ? { config: withEntry((await api.get<AccountSettings>(path)).config, name.slice(7), value) }
            : { [name]: settingOf(name, value) },
        );
        say(changed, () => facts(shown(changed)));
      }),
    );
}

function shown({ config, ...settings }: AccountSettings): Record<string, unknown> {
  const entries = Object.entries(config).map(([name, value]) => [`config.${name}`, value]);
  return { ...settings, ...Object.fromEntries(entries) };
}

function settingOf(name: string, value: string): unknown {
  if (value === 'true' || value === 'false') return value === 'true';
  return name === 'profile' && value === '' ? null : value;
}

function withEntry(config: Record<string, string>, name: string, value: string): Record<string, string> {
  const { [name]: _before, ...rest } = config;
  return value === '' ? rest : { ...rest, [name]: value };
}

function blockCommands(program: Command, environment: Environment): void {
  const blocks = program
    .command('blocks')
    .description('block devices before they onboard, including devices made later');
  const path = '/v1/accounts/{account}/block-rules';

  blocks
    .command('add')
    .description('block by fingerprint, serial numbers or factory CA')
    .option('--fingerprint <hex>', 'one bootstrap certificate: its fingerprint or its file')
    .option('--serials <range>', 'serial numbers of devices: SN-0001, or SN-0001..SN-9999')
    .option('--factory-ca <id>', 'every device that a factory CA signed')
    .requiredOption('--reason <text>', 'reason, stored with the rule and shown to operators')
    .action(
      action(program, environment, async ({ api, say }, options: BlockOptions) => {
        const rule = await api.post<BlockRule>(path, {
          target: await targetOf(options),
          reason: options.reason,
        });
        say(rule, () => `blocked: ${rule.ruleId}`);
      }),
    );

  blocks
    .command('list')
    .description('list the rules')
    .action(
      action(program, environment, async ({ api, list }) => {
        await list(api.all<BlockRule>(path, { limit: 1000 }), {
          rule: ({ ruleId }) => ruleId,
          reason: ({ reason }) => reason,
          by: ({ by }) => by,
          since: ({ since }) => since,
        });
      }),
    );

  blocks
    .command('remove <rule>')
    .description('remove a rule: devices that it blocked may onboard')
    .action(
      action(program, environment, async ({ api, say }, rule: string) => {
        await api.delete(`${path}/${encodeURIComponent(rule)}`);
        say({ removed: rule }, () => `removed: ${rule}`);
      }),
    );
}

type BlockOptions = { fingerprint?: string; serials?: string; factoryCa?: string; reason: string };

async function targetOf({ fingerprint, serials, factoryCa }: BlockOptions): Promise<BlockRule['target']> {
  const targets: BlockRule['target'][] = [
    ...(fingerprint === undefined
      ? []
      : [{ kind: 'fingerprint' as const, fingerprint: await requireFingerprint(fingerprint) }]),
    ...(serials === undefined ? [] : [{ kind: 'serials' as const, serials }]),
    ...(factoryCa === undefined ? [] : [{ kind: 'factory-ca' as const, authorityId: factoryCa }]),
  ];
  const [target, ...others] = targets;
  if (target === undefined || others.length > 0)
    throw new CliError('give one of --fingerprint, --serials and --factory-ca');
  return target;
}

function redirectCommands(program: Command, environment: Environment): void {
  const redirects = program
    .command('redirects')
    .description(
      'redirect devices to another instance for their handoff: one device, or all devices of the account',
    );
  const path = '/v1/accounts/{account}/redirects';

  redirects
    .command('set <url>')
    .description('redirect devices to the bootstrap service of another instance')
    .option(
      '--fingerprint <hex>',
      'this device, by fingerprint or certificate file (default: all devices of the account)',
    )
    .option('--trust <file>', 'PEM file with its root, if it differs from the root of this instance')
    .action(
      action(
        program,
        environment,
        async ({ api, say }, url: string, options: { fingerprint?: string; trust?: string }) => {
          const trustAnchors = options.trust === undefined ? [] : await readCertificates(options.trust);
          const { fingerprint } = options;
          const id = fingerprint === undefined ? 'account' : await requireFingerprint(fingerprint);
          const redirect = await api.put<BootstrapRedirect>(`${path}/${id}`, { url, trustAnchors });
          say(redirect, () => `redirected to ${redirect.url}`);
        },
      ),
    );

  redirects
    .command('list')
    .description('list the redirects of the account')
    .action(
      action(program, environment, async ({ api, list }) => {
        await list(api.all<BootstrapRedirect>(path, { limit: 1000 }), {
          who: ({ subject }) => ('account' in subject ? 'the account' : subject.fingerprint),
          'redirected to': ({ url }) => url,
          by: ({ by }) => by,
          since: ({ since }) => since,
        });
      }),
    );

  redirects
    .command('remove [fingerprint]')
    .description('remove a redirect: devices are handed off here again')
    .action(
      action(program, environment, async ({ api, say }, fingerprint: string | undefined) => {
        const id = fingerprint === undefined ? 'account' : await requireFingerprint(fingerprint);
        await api.delete(`${path}/${id}`);
        say({ removed: id }, () => 'redirect removed');
      }),
    );
}

async function readCertificates(file: string): Promise<string[]> {
  const text = await readText(file);
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g);
  if (found === null) throw new CliError(`${file}: no certificate in PEM`);
  return found;
}

function hookCommands(program: Command, environment: Environment): void {
  const hooks = program
    .command('hooks')
    .description('a webhook that is called once for each device that onboards');
  const path = '/v1/accounts/{account}/hook';

  hooks
    .command('set <url>')
    .description('set the URL; the secret that signs the calls is shown only once')
    .action(
      action(program, environment, async ({ api, say }, url: string) => {
        const hook = await api.put<OnboardingHook & { secret: string }>(path, { url });
        say(hook, () => facts({ url: hook.url, secret: hook.secret }));
      }),
    );

  hooks
    .command('show')
    .description('show the webhook, and calls that failed')
    .action(
      action(program, environment, async ({ api, json, say, print }) => {
        const hook = await api.get<OnboardingHook>(path);
        const rows: OnboardingNotification[] = [];
        for (const state of ['due', 'dead'])
          rows.push(
            ...(await Array.fromAsync(
              api.all<OnboardingNotification>(`${path}/notifications`, { state, limit: 1000 }),
            )),
          );
        say({ ...hook, notifications: rows }, () => facts({ url: hook.url, since: hook.since, by: hook.by }));
        if (json || rows.length === 0) return;
        const head = ['notification', 'device', 'state', 'attempts', 'next', 'error'];
        print(
          table(
            head,
            rows.map((n) => [n.notificationId, n.deviceId, n.state, n.attempts, n.nextAt, n.error]),
          ),
        );
      }),
    );

  hooks
    .command('retry <notification>')
    .description('retry a failed call')
    .action(
      action(program, environment, async ({ api, say }, id: string) => {
        const one = await api.post<OnboardingNotification>(
          `${path}/notifications/${encodeURIComponent(id)}/retry`,
          {},
        );
        say(one, () => `${one.notificationId} is ${one.state}`);
      }),
    );

  hooks
    .command('remove')
    .description('remove the webhook; pending calls are dropped')
    .action(
      action(program, environment, async ({ api, say }) => {
        await api.delete(path);
        say({ removed: true }, () => 'removed');
      }),
    );
}
