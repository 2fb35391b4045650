import { writeFile } from 'node:fs/promises';
import { claimCodeOf, claimUrl, isSerialAmong, type MadeDevice } from '@signet/contracts';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { action, type Context, type Environment } from '../context.ts';
import { parseCsv } from '../factory/csv.ts';
import { type Label, labelPages } from '../factory/label-sheet.ts';
import { pdfOf } from '../factory/sheet-pdf.ts';
import { svgOf } from '../factory/sheet-svg.ts';
import { wholeNumber } from '../parse-number.ts';
import { readText } from '../read-input.ts';

type Options = {
  out: string;
  list?: string;
  serials?: string[];
  console?: string;
  paper: string;
  columns: number;
  rows: number;
};

export function factoryLabelsCommand(factory: Command, program: Command, environment: Environment): void {
  factory
    .command('labels')
    .description('print sheets of labels: id, serial number, claim code, and a QR code of the claim page')
    .requiredOption('--out <file>', 'labels.pdf or labels.svg (further sheets go to labels-2.svg, …)')
    .option('--list <devices.csv>', 'devices.csv of a batch (default: the factory log)')
    .option('--serials <serial...>', 'only these serial numbers, or ranges such as SN-0001..SN-0100')
    .option('--console <url>', 'the console whose claim page the QR code leads to (SIGNET_CONSOLE_URL)')
    .option('--paper <paper>', 'a4 or letter', 'a4')
    .option('--columns <n>', 'columns of labels on a sheet', wholeNumber(1, 99), 3)
    .option('--rows <n>', 'rows of labels on a sheet', wholeNumber(1, 99), 8)
    .action(
      action(
        program,
        environment,
        (context: Context, options: Options) =>
          labels(context, {
            ...options,
            console: options.console ?? environment.env.SIGNET_CONSOLE_URL ?? context.api.settings.url,
          }),
        { offline: true },
      ),
    );
}

async function labels(
  { api, say }: Context,
  { out, list, serials, console, ...options }: Options & { console: string },
): Promise<void> {
  const kind = /\.(pdf|svg)$/.exec(out)?.[1];
  if (kind === undefined) throw new CliError('--out: a file named .pdf or .svg');
  const layout = {
    paper: options.paper,
    columns: options.columns,
    rows: options.rows,
  };
  const made: Label[] = [];
  for await (const device of list === undefined ? fromLog(api) : fromList(list)) {
    if (serials !== undefined && !isSerialAmong(device.serial, serials)) continue;
    const code = claimCodeOf(device.fingerprint);
    made.push({ ...device, code, url: claimUrl(console, code) });
  }
  if (made.length === 0) throw new CliError('no devices to make labels for');
  const pages = [...labelPages(made, layout)];
  if (kind === 'pdf') await writeFile(out, pdfOf(pages));
  else
    for (const [i, page] of pages.entries())
      await writeFile(i === 0 ? out : out.replace(/\.svg$/, `-${i + 1}.svg`), svgOf(page));
  say(
    { labels: made.length, sheets: pages.length, out },
    () => `${made.length} labels on ${pages.length} sheets`,
  );
}

type Printed = { id: string; serial: string; model: string; fingerprint: string };

async function* fromLog(api: Context['api']): AsyncGenerator<Printed> {
  for await (const device of api.all<MadeDevice>('/v1/accounts/{account}/factory/log', { limit: 1000 })) {
    const { deviceId: id, deviceSerialNumber: serial, model = '', fingerprint } = device;
    yield { id, serial, model, fingerprint };
  }
}

async function* fromList(file: string): AsyncGenerator<Printed> {
  const columns = {
    required: ['serial', 'id', 'fingerprint'],
    optional: ['model', 'code', 'certificate serial', 'made', 'state', 'account'],
  };
  for (const { line, values } of parseCsv(file, await readText(file), columns)) {
    const { serial = '', id = '', model = '', fingerprint = '' } = values;
    if (!/^[0-9a-f]{64}$/.test(fingerprint))
      throw new CliError(`${file}:${line}: fingerprint: 64 lower-case hex digits`);
    yield { serial, id, model, fingerprint };
  }
}
