#!/usr/bin/env node
import process from 'node:process';
import { Command } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import { systemNow } from './clock.ts';
import { addImportCommand } from './import/command.ts';
import {
  AgentError,
  DeviceFolder,
  keepClock,
  lockFolder,
  onboard,
  parseKeys,
  type RunEvent,
  rotate,
  run,
} from './index.ts';
import { addMessageCommands, addMessageFlags, messagesOf } from './messages/commands.ts';
import { withReports } from './messages/device-messages.ts';
import { MessageError } from './messages/message-error.ts';
import { addRepairCommand } from './repair/command.ts';
import { addSharingFlags, sharingOf } from './shared-identity/flags.ts';
import { sharedIdentity } from './shared-identity/open-sharing.ts';
import { addStatusCommand } from './status-command.ts';

const program = new Command('signet-agent')
  .version(manifest.version)
  .description('The device side of Signet: makes its key, onboards, enrols, connects, renews.')
  .option('--folder <path>', 'the device folder, as the factory made it', process.env.SIGNET_DEVICE ?? '.')
  .option(
    '--key <where>',
    'where keys are made and used: file:, tpm:[<tcti>], pkcs11:token=…?module-path=…&pin-source=file:…',
    process.env.SIGNET_DEVICE_KEY ?? 'file:',
  );

addSharingFlags(program);
addMessageFlags(program);

const folder = () => {
  const { folder: path, key } = program.opts<{ folder: string; key: string }>();
  return new DeviceFolder(path, parseKeys(key, path));
};
/** Runs with the folder taken, so that no second agent uses it. */
const owning = async (use: (folder: DeviceFolder) => Promise<void>) => {
  const device = folder();
  await device.factoryFiles();
  await using _lock = await lockFolder(device.path);
  await using _clock = await keepClock(device);
  await use(device);
};
/** Workloads get a new identity at once, also where the agent does not run on. */
const share = async (device: DeviceFolder) => {
  const options = { identity: await sharingOf(program), report: say, signal: stopped.signal };
  await sharedIdentity(device, options)?.update(stopped.signal);
};
const stopped = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopped.abort());

program
  .command('onboard')
  .description('wait for the claim, take the hand-over, enrol')
  .option('--at-once', 'send the CSR with the bootstrap request, so that the bundle has the certificate')
  .action(({ atOnce = false }: { atOnce?: boolean }) =>
    owning(async (device) => {
      const identity = await onboard(device, { report: say, signal: stopped.signal, atOnce });
      await share(device);
      console.log(identity.certificate.trim());
    }),
  );

program
  .command('run')
  .description('onboard if needed, connect, stay connected')
  .action(() =>
    owning(async (device) =>
      run(device, {
        ...{ report: say, signal: stopped.signal },
        ...{ identity: await sharingOf(program), messages: await messagesOf(program) },
      }),
    ),
  );

program
  .command('renew')
  .description('renew the operational certificate now, with a new key')
  .action(() =>
    owning(async (device) => {
      await withReports(device, (reports) => rotate(device, { signal: stopped.signal, reports }));
      await share(device);
      console.log('renewed');
    }),
  );

addStatusCommand(program, folder);
addMessageCommands(program, { folder, signal: stopped.signal });

addRepairCommand(program, folder);
addImportCommand(program);

function say(event: RunEvent): void {
  const { step, ...rest } = event;
  const text =
    'payload' in rest ? `${rest.levels.join('/')} ${rest.payload.toString('utf8', 0, 200)}` : facts(rest);
  console.error(`${new Date(systemNow()).toISOString()} ${step} ${text}`.trimEnd());
}

function facts(rest: object): string {
  return Object.entries(rest)
    .filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0))
    .map(([name, value]) => `${name}=${factOf(value)}`)
    .join(' ');
}

function factOf(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'number' ? String(Math.round(value * 10) / 10) : String(value);
}

function isKnown(error: unknown): error is AgentError | MessageError {
  return error instanceof AgentError || error instanceof MessageError;
}

try {
  await program.parseAsync();
} catch (error) {
  if (stopped.signal.aborted) process.exit(0);
  console.error(isKnown(error) ? `signet-agent: ${error.code}: ${error.message}` : error);
  if (isKnown(error) && error.code === 'broken-folder')
    console.error('"signet-agent repair" says what can be done about it; nothing was changed');
  process.exit(1);
}
