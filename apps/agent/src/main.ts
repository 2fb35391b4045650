#!/usr/bin/env node
import process from 'node:process';
import { Command } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import { systemNow } from './clock.ts';
import { addImportCommand } from './import/command.ts';
import {
  DeviceFolder,
  keepClock,
  lockFolder,
  onboard,
  parseKeys,
  type RunEvent,
  rotate,
  run,
} from './index.ts';
import { bootstrapUrlHere, followLocalPlatform } from './local-platform.ts';
import { lockPatiently } from './lock-patiently.ts';
import { addMessageCommands, addMessageFlags, messagesOf } from './messages/commands.ts';
import { withReports } from './messages/device-messages.ts';
import { requireKeySpec } from './onboard.ts';
import { addRepairCommand } from './repair/command.ts';
import { addSharingFlags, sharingOf } from './shared-identity/flags.ts';
import { sharedIdentity } from './shared-identity/open-sharing.ts';
import { addStatusCommand } from './status-command.ts';
import { failureLines, lineOf } from './words.ts';

/** How long a command that was stopped may take to end in good order, ms. */
const FAREWELL_MS = 5000;

const program = new Command('signet-agent')
  .version(manifest.version)
  .description('The device side of Signet: makes its key, onboards, enrols, connects, renews.')
  .option('--folder <path>', 'the device folder, as the factory made it', process.env.SIGNET_DEVICE ?? '.')
  .option(
    '--key <where>',
    'where keys are made and used: file: (the default), tpm:[<tcti>], pkcs11:token=…?module-path=…&pin-source=file:…',
    process.env.SIGNET_DEVICE_KEY,
  );

addSharingFlags(program);
addMessageFlags(program);

const folder = () => {
  const { folder: path, key } = program.opts<{ folder: string; key?: string }>();
  return new DeviceFolder(path, parseKeys(key, path), undefined, bootstrapUrlHere(dataDir));
};
/** Of a platform on this machine, as `npm start` and `signet` take it. */
const dataDir = process.env.SIGNET_DATA_DIR || './data';
/** Runs with the folder taken, so that no second agent uses it. */
const owning = async (use: (folder: DeviceFolder) => Promise<void>, lock = lockFolder) => {
  const device = folder();
  await device.factoryFiles();
  await using _lock = await lock(device.path);
  await requireKeySpec(device);
  await using _clock = await keepClock(device);
  await followLocalPlatform(device, { dataDir, report: say });
  await use(device);
};
/** Workloads get a new identity at once, also where the agent does not run on. */
const share = async (device: DeviceFolder) => {
  const options = { identity: await sharingOf(program), report: say, signal: stopped.signal };
  await sharedIdentity(device, options)?.update(stopped.signal);
};
const stopped = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.once(name, () => {
    stopped.abort();
    // whoever pressed Ctrl-C is not kept by a TPM or a server: what is on the disk is whole at any moment
    setTimeout(() => process.exit(0), FAREWELL_MS).unref();
  });
// a reader that has gone, as of a pipe to "head", ends a command; a log that nobody takes does not
process.stdout.on('error', () => process.exit(0));
process.stderr.on('error', () => {});

program
  .command('onboard')
  .description('wait for the claim, take the handoff, enrol')
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
  .action(async () => {
    const { signal } = stopped;
    const messages = await messagesOf(program);
    await owning(
      async (device) => run(device, { report: say, signal, identity: await sharingOf(program), messages }),
      (path) => lockPatiently(path, { messages, report: say, signal }),
    );
  });

program
  .command('renew')
  .description('renew the operational certificate now, with a new key')
  .action(() =>
    owning(async (device) => {
      const { signal } = stopped;
      await withReports(device, (reports) => rotate(device, { signal, reports }), signal);
      await share(device);
      console.log('renewed');
    }),
  );

addStatusCommand(program, folder);
addMessageCommands(program, { folder, signal: stopped.signal });

addRepairCommand(program, folder);
addImportCommand(program);

function say(event: RunEvent): void {
  console.error(lineOf(event, systemNow()));
}

try {
  await program.parseAsync();
} catch (error) {
  if (stopped.signal.aborted) process.exit(0);
  for (const line of failureLines(error)) console.error(line);
  process.exit(1);
}
