import { Command } from 'commander';
import { accountCommands } from './commands/accounts.ts';
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
import type { Environment } from './context.ts';

/** Every command. Standard output is theirs alone, and only by their context. */
export function buildProgram(environment: Environment): Command {
  const program = new Command('signet')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void environment.stdout.write(text),
      writeErr: (text) => void environment.stderr.write(text),
      outputError: (text, write) => write(asOneLine(text)),
    })
    .helpCommand(false)
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
      '--api-fingerprint <sha256>',
      'trust the API’s own certificate by its SHA-256, as the log of admin-api gives it: for one of last resort (SIGNET_FINGERPRINT)',
    )
    .option('--json', 'one JSON value a line, for programs');

  accountCommands(program, environment);
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

  helpCommand(program);
  return program;
}

/** `signet help devices list`, as `signet devices list --help`. */
function helpCommand(program: Command): void {
  program
    .command('help [command...]')
    .description('help for a command')
    .action(async (words: string[]) => {
      let command: Command | undefined = program;
      const known: string[] = [];
      for (const word of words) {
        if (command.commands.length === 0) break;
        known.push(word);
        command = command.commands.find((each) => [each.name(), ...each.aliases()].includes(word));
        if (command === undefined) break;
      }
      // a word that is no command is told of as where it is called
      if (command === undefined) await program.parseAsync(known, { from: 'user' });
      else command.outputHelp();
    });
}

/** What commander says of wrong words: in one line, in the name of the program. */
function asOneLine(text: string): string {
  return `${text
    .trim()
    .replace(/^error: /, 'signet: ')
    .replace(/\s*\n\s*/g, ' ')}\n`;
}
