import { randomBytes } from 'node:crypto';
import type { createProvisioningRequest, OperationOutput, ProvisioningRequestView } from '@signet/contracts';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { plainText, readConfigFiles } from '../config-files.ts';
import { action, type Context, type Environment } from '../context.ts';
import { facts } from '../output.ts';
import { wholeNumber } from '../parse-number.ts';
import { parseTime } from '../parse-time.ts';
import { readText } from '../read-input.ts';

const BASE = '/v1/accounts/{account}/provisioning-requests';

type Made = OperationOutput<typeof createProvisioningRequest>;
type Options = {
  clientId?: string;
  username?: string;
  passwordFile?: string;
  activationKeyFile?: string;
  from?: string;
  until?: string;
  retries: number;
  overwrite?: boolean;
  config?: string[];
};

export function provisioningCommands(program: Command, environment: Environment): void {
  const provisioning = program
    .command('provisioning')
    .description('provisioning over MQTT: create, list and stop requests');

  provisioning
    .command('create <device>')
    .description(
      'create a request: who may fetch the bundle of a device, when and how often; secrets are shown only once',
    )
    .option('--client-id <id>', 'MQTT client id of the device (default: its id)')
    .option('--username <name>', 'user name; without one an activation key is used')
    .option('--password-file <file>', 'file with the password, on one line (default: a new password)')
    .option('--activation-key-file <file>', 'file with the activation key, on one line (default: a new key)')
    .option('--from <time>', 'start of the window, RFC 3339 (default: now)', parseTime)
    .option('--until <time>', 'end of the window, RFC 3339 (default: in 30 days)', parseTime)
    .option('--retries <count>', 'failed attempts before the request is FAILED', wholeNumber(1), 10)
    .option('--overwrite', 'stop an earlier request, and provision again a device that is already active')
    .option('--config <name=file...>', "files that become the device's config, in plain text")
    .action(action(program, environment, create));

  provisioning
    .command('list')
    .description('list the requests of the account, newest first')
    .option('--device <device>', 'only requests of this device')
    .option(
      '--state <state>',
      'CREATED, STARTED, RUNNING, CONF_UPDATED, COMPLETED, FAILED, ABANDONED, STOPPED',
    )
    .action(
      action(
        program,
        environment,
        async ({ api, list }, { device, state }: { device?: string; state?: string }) => {
          const filter = { deviceId: device, state: state?.toUpperCase(), limit: 1000 };
          await list(api.all<ProvisioningRequestView>(BASE, filter), {
            request: (item) => item.requestId,
            device: (item) => item.deviceId,
            state: (item) => item.state,
            failed: (item) => `${item.failedAttempts}/${item.retryLimit}`,
            until: (item) => item.expiresOn,
            why: (item) => item.reason,
          });
        },
      ),
    );

  provisioning
    .command('show <request>')
    .description('show a request: its state, its window and its last failure')
    .action(
      action(program, environment, async ({ api, say }, id: string) => {
        const request = await api.get<ProvisioningRequestView>(`${BASE}/${encodeURIComponent(id)}`);
        say(request, () => describe(request));
      }),
    );

  provisioning
    .command('stop <request>')
    .description('stop a request: no device is provisioned by it any more')
    .option('--reason <text>', 'reason, stored with the request')
    .action(
      action(program, environment, async ({ api, say }, id: string, { reason }: { reason?: string }) => {
        const request = await api.post<ProvisioningRequestView>(`${BASE}/${encodeURIComponent(id)}/stop`, {
          reason,
        });
        say(request, () => `${request.deviceId}: ${request.state}`);
      }),
    );
}

async function create({ api, say, stdin }: Context, deviceId: string, options: Options): Promise<void> {
  const { username, passwordFile, activationKeyFile, from, until, retries } = options;
  if (passwordFile !== undefined && username === undefined)
    throw new CliError('--password-file: needs --username');
  const given = passwordFile === undefined ? undefined : await line(passwordFile);
  const password = username === undefined ? undefined : (given ?? randomBytes(18).toString('base64url'));
  const made = await api.post<Made>(BASE, {
    ...{ deviceId, clientId: options.clientId, username, password },
    activationKey: activationKeyFile === undefined ? undefined : await line(activationKeyFile),
    ...{ activatesOn: from, expiresOn: until, retryLimit: retries },
    overwrite: options.overwrite ?? false,
    config: (await readConfigFiles(options.config ?? [], stdin)).map((file) => ({
      ...{ name: file.name, value: plainText(file), unencrypted: true },
    })),
  });
  const newPassword = given === undefined ? password : undefined;
  say({ ...made, ...(newPassword === undefined ? {} : { username, password: newPassword }) }, () =>
    [
      `${deviceId}: request ${made.requestId}, open until ${made.expiresOn}`,
      ...(newPassword === undefined ? [] : [`password, shown this once: ${newPassword}`]),
      ...(made.activationKey === undefined ? [] : [`activation key, shown this once: ${made.activationKey}`]),
    ].join('\n'),
  );
}

async function line(file: string): Promise<string> {
  return (await readText(file)).trim();
}

function describe(request: ProvisioningRequestView): string {
  return facts({
    request: request.requestId,
    device: request.deviceId,
    'client id': request.clientId,
    state: request.reason === undefined ? request.state : `${request.state} (${request.reason})`,
    credentials: request.credentials === 'password' ? `user ${request.username}` : 'activation key',
    window: `${request.activatesOn} to ${request.expiresOn}`,
    'failed attempts': `${request.failedAttempts} of ${request.retryLimit}`,
    overwrite: request.overwrite ? 'yes' : undefined,
    config: request.config.length > 0 ? request.config.join(', ') : undefined,
    'config version': request.configVersion,
    made: `${request.createdAt} by ${request.createdBy}`,
    changed: request.changedAt,
  });
}
