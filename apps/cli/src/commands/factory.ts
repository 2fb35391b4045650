import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { FactoryResult, MadeDevice } from '@signet/contracts';
import { claimCodeOf } from '@signet/contracts';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { action, type Context, type Environment } from '../context.ts';
import { makeBatch } from '../factory/batch.ts';
import { bootstrapUrlAt } from '../factory/bootstrap-url.ts';
import { exportLog, type LogFormat, logFormats } from '../factory/log-export.ts';
import { certificateFiles, deviceFolders, TRUST_FILE } from '../factory/places.ts';
import { ProgressBar } from '../factory/progress-bar.ts';
import { signRequests } from '../factory/sign-requests.ts';
import { readWanted } from '../factory/wanted-devices.ts';
import { makeDevice, writeDeviceFolder } from '../factory-device.ts';
import { facts, table } from '../output.ts';
import { readText } from '../read-input.ts';
import { factoryBundleCommand } from './factory-bundle.ts';
import { factoryCaCommands } from './factory-ca.ts';
import { factoryLabelsCommand } from './factory-labels.ts';
import { factoryUploadCommand } from './factory-upload.ts';

const AT_API = 'port 8444 of the API’s host';

export function factoryCommands(program: Command, environment: Environment): void {
  const bootstrapUrl = environment.env.SIGNET_BOOTSTRAP_URL;
  const factory = program
    .command('factory')
    .description('manufacture devices: bootstrap certificates, labels, files for images, the factory log');

  factory
    .command('sign')
    .description('sign one bootstrap certificate: for a CSR, or for a new device whose key is made here')
    .option('--csr <file>', 'PKCS#10 request in PEM, made by the device; - for standard input')
    .option('--new <id>', 'make the key and the request here, and write the device folder')
    .option('--serial <serial>', "the device's own serial number (default: its id)")
    .option('--model <model>', "the device's model")
    .option(
      '--out <path>',
      'device folder (with --new) or certificate file (with --csr), trust.pem beside it',
    )
    .option(
      '--bootstrap <url>',
      `URL of the bootstrap service for the device (SIGNET_BOOTSTRAP_URL; else ${AT_API})`,
      bootstrapUrl,
    )
    .action(action(program, environment, sign));

  factory
    .command('batch <what>')
    .description(
      'make many devices: a range of serial numbers (SN-0001..SN-9999), or a CSV file with the columns serial, id, model, csr; safe to repeat after an interruption',
    )
    .requiredOption('--out <folder>', 'output folder for certificates or device folders, and devices.csv')
    .option('--csrs <folder>', 'folder with the devices’ requests, <serial>.csr')
    .option('--make-keys', 'make the keys here: a folder for each device that only its owner can read')
    .option('--model <model>', 'model of devices without a model in the CSV file')
    .option(
      '--bootstrap <url>',
      `URL of the bootstrap service for the devices (SIGNET_BOOTSTRAP_URL; else ${AT_API})`,
      bootstrapUrl,
    )
    .action(action(program, environment, batch));

  factory
    .command('log')
    .description('list every device made, in order of manufacture')
    .option('--format <format>', 'export as csv or json (one object a line, with the certificate)')
    .option('--out <file>', 'write to this file')
    .action(action(program, environment, log));

  factoryBundleCommand(factory, program, environment, bootstrapUrl);
  factoryLabelsCommand(factory, program, environment);
  factoryUploadCommand(factory, program, environment);
  factoryCaCommands(factory, program, environment);
}

type SignOptions = {
  csr?: string;
  new?: string;
  serial?: string;
  model?: string;
  out?: string;
  bootstrap?: string;
};

async function sign(context: Context, options: SignOptions): Promise<void> {
  const { csr: file, new: id, out, serial, model } = options;
  const bootstrap = options.bootstrap ?? bootstrapUrlAt(context.api.settings);
  if ((file === undefined) === (id === undefined))
    throw new CliError('give either --csr <file> or --new <id>');
  const device = id === undefined ? undefined : makeDevice(id);
  const csr = device?.csr ?? (file === '-' ? await text(context.stdin) : await readText(file ?? ''));
  const [signed] = await signRequests(context.api, [
    {
      csr,
      ...(serial === undefined ? {} : { deviceSerialNumber: serial }),
      ...(model === undefined ? {} : { model }),
    },
  ]);
  if (signed === undefined) throw new CliError('the factory returned no result');
  if ('error' in signed)
    throw new CliError(`${signed.error.code}: ${signed.error.message}`, { code: signed.error.code });
  if (device !== undefined) await writeDeviceFolder(out ?? device.id, device, signed, bootstrap);
  else if (out !== undefined) await writeCertificate(out, signed);
  const claimCode = claimCodeOf(signed.fingerprint);
  context.say({ ...signed, claimCode }, () =>
    facts({
      device: signed.deviceId,
      fingerprint: signed.fingerprint,
      'claim code': claimCode,
      'certificate serial': signed.certificateSerial,
      written: out ?? device?.id,
      'trust anchors': device === undefined && out !== undefined ? join(dirname(out), TRUST_FILE) : undefined,
      next: `signet devices claim ${signed.fingerprint}`,
    }),
  );
  if (device === undefined && out === undefined && !context.json) context.print(signed.certificate);
}

/** The certificate with its issuers, and beside it `trust.pem`: the roots that the device verifies the platform by. */
async function writeCertificate(
  out: string,
  { certificate, chain, trustAnchors }: FactoryResult,
): Promise<void> {
  // what was signed is not lost for a folder that is missing
  await mkdir(dirname(out), { recursive: true });
  await writeFile(join(dirname(out), TRUST_FILE), trustAnchors.join(''));
  await writeFile(out, [certificate, ...chain].join(''));
}

type BatchOptions = { out: string; csrs?: string; makeKeys?: true; model?: string; bootstrap?: string };

/** So many failures are told one by one. */
const TOLD = 20;

async function batch(
  { api, say, json, stopped, stderr }: Context,
  what: string,
  options: BatchOptions,
): Promise<void> {
  const { out, csrs, makeKeys, model, bootstrap = bootstrapUrlAt(api.settings) } = options;
  if (makeKeys === true && csrs !== undefined) throw new CliError('give either --csrs or --make-keys');
  const wanted = await readWanted(what, model);
  if (makeKeys !== true && csrs === undefined && !wanted.hasRequests)
    throw new CliError('the devices have no CSRs: give --csrs <folder>, a column csr, or --make-keys');
  const places = makeKeys === true ? deviceFolders(out, bootstrap) : certificateFiles(out, csrs);
  const progress = new ProgressBar(wanted.size, stderr, { quiet: json });
  const interrupted = () => stderr.write('signet: interrupted; the same command goes on where it was\n');
  const result = await makeBatch({ api, places, progress, stopped }, wanted, out).catch((error: unknown) => {
    // the call that was under way ended with the interrupt
    if (stopped.aborted) interrupted();
    throw error;
  });
  progress.end();
  const { made, before, failed, complete } = result;
  say({ made, before, failed }, () => {
    const lines = failed.slice(0, TOLD).map(({ serial, code, message }) => `${serial}: ${code}: ${message}`);
    if (failed.length > TOLD) lines.push(`… and ${failed.length - TOLD} more`);
    const earlier = before === 0 ? '' : `, ${before} before`;
    return [...lines, `${made} devices made${earlier}, listed in ${out}/devices.csv`].join('\n');
  });
  if (stopped.aborted) {
    interrupted();
    throw new CliError('interrupted');
  }
  if (failed.length > 0) {
    const rest = complete ? '' : ', and the rest were not tried';
    throw new CliError(`${failed.length} devices were not made${rest}`);
  }
}

async function log(
  { api, json, print, text: write }: Context,
  { format, out }: { format?: string; out?: string },
): Promise<void> {
  if (json && format === 'csv' && out === undefined) throw new CliError('give either --json or --format csv');
  if (format !== undefined && !(logFormats as readonly string[]).includes(format))
    throw new CliError(`--format: ${logFormats.join(' or ')}`);
  const devices = api.all<MadeDevice>('/v1/accounts/{account}/factory/log', { limit: 1000 });
  if (format === undefined && out === undefined && !json) {
    const rows: unknown[][] = [];
    for await (const device of devices)
      rows.push([
        device.manufacturedAt,
        device.deviceId,
        device.deviceSerialNumber,
        device.fingerprint,
        device.handedOn === true ? 'handed to another account' : device.state,
      ]);
    print(table(['made', 'device', 'serial number', 'fingerprint', 'state'], rows));
    return;
  }
  const pieces = exportLog(devices, (format as LogFormat | undefined) ?? 'json');
  if (out !== undefined) await pipeline(pieces, createWriteStream(out));
  else for await (const piece of pieces) write(piece);
}
