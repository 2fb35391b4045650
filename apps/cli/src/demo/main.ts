import process from 'node:process';
import { Command } from 'commander';
import { ApiClient } from '../api-client.ts';
import { CliError, messageOf } from '../cli-error.ts';
import { bootstrapUrlAt } from '../factory/bootstrap-url.ts';
import { wholeNumber } from '../parse-number.ts';
import { type Flags, readSettings } from '../settings.ts';
import { rootsIn, trustApi } from '../trust.ts';
import { runFleet } from './fleet.ts';
import { ProgressView, resultTable } from './progress-view.ts';

const program = new Command('demo')
  .description('Virtual devices from the factory to MQTT and out again, against a running Signet.')
  .option('--devices <n>', 'how many', wholeNumber(2), 20)
  .option('--json', 'one JSON line at the end')
  .option('--url <url>', 'the API (SIGNET_URL)')
  .option('--token <token>', 'API token (SIGNET_TOKEN)')
  .option('--account <account>', 'account (SIGNET_ACCOUNT)')
  .option(
    '--ca <file>',
    'roots (PEM) that servers may chain to: the API’s, and beside the device’s own the others’ (SIGNET_CA)',
  )
  .option('--fingerprint <sha256>', 'trust the API’s own certificate by its SHA-256 (SIGNET_FINGERPRINT)')
  .option(
    '--bootstrap <url>',
    'the bootstrap service (SIGNET_BOOTSTRAP_URL; else that of the platform that runs here, or port 8444 of the API’s host)',
  )
  .parse();

const { devices, json, bootstrap, ...flags } = program.opts<
  Flags & { devices: number; json?: true; bootstrap?: string }
>();

try {
  const settings = await readSettings(flags, process.env);
  await trustApi(settings);
  const api = new ApiClient(settings);
  const view = new ProgressView(process.stderr, devices);
  const result = await runFleet({
    api,
    devices,
    bootstrapUrl: bootstrap ?? process.env.SIGNET_BOOTSTRAP_URL ?? bootstrapUrlAt(settings),
    roots: settings.ca === undefined ? [] : await rootsIn(settings.ca),
    progress: (step, done) => view.show(step, done),
  });
  view.end();
  console.log(json ? JSON.stringify(result) : resultTable(result));
  process.exitCode = result.ok === devices ? 0 : 1;
} catch (error) {
  const advice = error instanceof CliError && error.isUnreachable ? ' Start it with "npm start".' : '';
  console.error(`demo: ${messageOf(error)}${advice}`);
  process.exitCode = 1;
}
