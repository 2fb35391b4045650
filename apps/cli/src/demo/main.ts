import process from 'node:process';
import { Command } from 'commander';
import { ApiClient } from '../api-client.ts';
import { CliError } from '../cli-error.ts';
import { type Flags, readSettings } from '../settings.ts';
import { runFleet } from './fleet.ts';
import { ProgressView, resultTable } from './progress-view.ts';

const program = new Command('demo')
  .description('Virtual devices from the factory to MQTT and out again, against a running Signet.')
  .option('--devices <n>', 'how many', Number, 20)
  .option('--json', 'one JSON line at the end')
  .option('--url <url>', 'the API (SIGNET_URL)')
  .option('--token <token>', 'API token (SIGNET_TOKEN)')
  .option('--account <account>', 'account (SIGNET_ACCOUNT)')
  .option(
    '--bootstrap <url>',
    'the bootstrap service',
    process.env.SIGNET_BOOTSTRAP_URL ?? 'https://localhost:8444',
  )
  .parse();

const { devices, json, bootstrap, ...flags } = program.opts<
  Flags & { devices: number; json?: true; bootstrap: string }
>();

try {
  if (!Number.isInteger(devices) || devices < 2) throw new CliError('--devices: a whole number, at least 2');
  const api = new ApiClient(await readSettings(flags, process.env));
  const view = new ProgressView(process.stderr, devices);
  const result = await runFleet({
    api,
    devices,
    bootstrapUrl: bootstrap,
    progress: (step, done) => view.show(step, done),
  });
  view.end();
  console.log(json ? JSON.stringify(result) : resultTable(result));
  process.exitCode = result.ok === devices ? 0 : 1;
} catch (error) {
  const advice = error instanceof CliError && error.isUnreachable ? ' Start it with "npm start".' : '';
  console.error(error instanceof CliError ? `demo: ${error.message}${advice}` : error);
  process.exitCode = 1;
}
