import process from 'node:process';
import { Command } from 'commander';
import release from '../package.json' with { type: 'json' };
import { messageOf } from './cli-error.ts';
import { attestationCommands } from './commands/attestation.ts';
import { caCommands } from './commands/ca.ts';
import { commandCommands } from './commands/commands.ts';
import { crlSourceCommands } from './commands/crl-sources.ts';
import { denylistCommands } from './commands/denylist.ts';
import { deviceConfigCommands } from './commands/device-config.ts';
import { deviceUpdateCommands } from './commands/device-updates.ts';
import { deviceCommands } from './commands/devices.ts';
import { eventCommands } from './commands/events.ts';
import { factoryCommands } from './commands/factory.ts';
import { groupCommands } from './commands/groups.ts';
import { mqttCommands } from './commands/mqtt.ts';
import { onboardingCommands } from './commands/onboarding.ts';
import { platformCommands } from './commands/platform.ts';
import { profileCommands } from './commands/profiles.ts';
import { provisioningCommands } from './commands/provisioning.ts';
import { queueCommands } from './commands/queues.ts';
import { registrationCommands } from './commands/registration.ts';
import { renewalCommands } from './commands/renewals.ts';
import { requestCommands } from './commands/requests.ts';
import { rotateCommands } from './commands/rotate.ts';
import { updateCommands } from './commands/updates.ts';

const stopped = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopped.abort());

const program = new Command('signet')
  .description('Operate Signet: make, claim, look at and shut out devices.')
  .addHelpText('after', '\nsignet --version says which release this is.')
  .option('--url <url>', 'the API (SIGNET_URL)')
  .option('--token <token>', 'API token (SIGNET_TOKEN)')
  .option('--account <account>', 'account (SIGNET_ACCOUNT)')
  .option(
    '--ca <file>',
    'roots (PEM) that the API’s certificate must chain to, in place of the system’s (SIGNET_CA)',
  )
  .option(
    '--fingerprint <sha256>',
    'trust the API’s own certificate by its SHA-256, as the log of admin-api gives it: for one of last resort (SIGNET_FINGERPRINT)',
  )
  .option('--json', 'one JSON value a line, for programs');

const environment = { env: process.env, stopped: stopped.signal };
factoryCommands(program, environment);
deviceCommands(program, environment);
commandCommands(program, environment);
denylistCommands(program, environment);
crlSourceCommands(program, environment);
eventCommands(program, environment);
queueCommands(program, environment);
mqttCommands(program, environment);
onboardingCommands(program, environment);
platformCommands(program, environment);
caCommands(program, environment);
profileCommands(program, environment);
requestCommands(program, environment);
registrationCommands(program, environment);
provisioningCommands(program, environment);
deviceConfigCommands(program, environment);
deviceUpdateCommands(program, environment);
groupCommands(program, environment);
rotateCommands(program, environment);
attestationCommands(program, environment);
renewalCommands(program, environment);
updateCommands(program, environment);

// not an option of the program: those are taken wherever they stand, and commands have a --version of their own
if (['--version', '-V'].includes(process.argv[2] ?? '')) {
  console.log(release.version);
  process.exit();
}

try {
  await program.parseAsync();
} catch (error) {
  if (stopped.signal.aborted) process.exit(130);
  console.error(`signet: ${messageOf(error)}`);
  process.exitCode = 1;
}
