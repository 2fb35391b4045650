import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Device, FactoryResult } from '@signet/contracts';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { action, type Context, type Environment } from '../context.ts';
import { makeDevice, type NewDevice, writeDeviceFolder } from '../factory-device.ts';
import { facts, table } from '../output.ts';

type SignResult = FactoryResult | { error: { code: string; message: string } };

const BATCH = 256;
const BOOTSTRAP_URL = 'https://localhost:8444';

export function factoryCommands(program: Command, environment: Environment): void {
  const bootstrapUrl = environment.env.SIGNET_BOOTSTRAP_URL ?? BOOTSTRAP_URL;
  const factory = program
    .command('factory')
    .description('make devices: bootstrap certificates and the factory log');

  factory
    .command('sign')
    .description('sign one bootstrap certificate: for a CSR, or for a new device whose key is made here')
    .option('--csr <file>', 'PKCS#10 request in PEM, made by the device')
    .option('--new <id>', 'make key and request here, and write the device folder')
    .option('--serial <serial>', "the device's own serial number (default: its id)")
    .option('--model <model>', "the device's model")
    .option('--out <path>', 'device folder (with --new) or certificate file (with --csr)')
    .option('--bootstrap <url>', 'where the device will find the bootstrap service', bootstrapUrl)
    .action(action(program, environment, sign));

  factory
    .command('batch')
    .description('make many devices at once, each with its folder')
    .requiredOption('--count <n>', 'how many', Number)
    .requiredOption('--out <folder>', 'where the device folders go')
    .option('--prefix <text>', 'ids are <prefix>0001, <prefix>0002, …', 'dev-')
    .option('--start <n>', 'first number', Number, 1)
    .option('--model <model>', "the devices' model")
    .option('--bootstrap <url>', 'where the devices will find the bootstrap service', bootstrapUrl)
    .action(action(program, environment, batch));

  factory
    .command('log')
    .description('every device made, in order of making')
    .action(
      action(program, environment, async ({ api, json }) => {
        const rows: unknown[][] = [];
        for await (const device of api.all<Device>('/v1/accounts/{account}/factory/log', { limit: 1000 })) {
          if (json) console.log(JSON.stringify(device));
          rows.push([
            device.manufacturedAt,
            device.deviceId,
            device.deviceSerialNumber,
            device.fingerprint,
            device.state,
          ]);
        }
        if (!json) console.log(table(['made', 'device', 'serial number', 'fingerprint', 'state'], rows));
      }),
    );
}

type SignOptions = {
  csr?: string;
  new?: string;
  serial?: string;
  model?: string;
  out?: string;
  bootstrap: string;
};

async function sign(context: Context, options: SignOptions): Promise<void> {
  const { csr: file, new: id, out, bootstrap } = options;
  if ((file === undefined) === (id === undefined))
    throw new CliError('give either --csr <file> or --new <id>');
  const device = id === undefined ? undefined : makeDevice(id);
  const csr = device?.csr ?? (await readRequest(file ?? ''));
  const [signed] = await signAll(context, [
    { csr, ...optional('deviceSerialNumber', options.serial), ...optional('model', options.model) },
  ]);
  if (signed === undefined) throw new CliError('the factory answered nothing');
  if ('error' in signed)
    throw new CliError(`${signed.error.code}: ${signed.error.message}`, { code: signed.error.code });
  if (device !== undefined) await writeDeviceFolder(out ?? device.id, device, signed, bootstrap);
  else if (out !== undefined) await writeFile(out, [signed.certificate, ...signed.chain].join(''));
  context.say(signed, () =>
    facts({
      device: signed.deviceId,
      fingerprint: signed.fingerprint,
      'certificate serial': signed.certificateSerial,
      written: out ?? device?.id,
      next: `signet devices claim ${signed.fingerprint}`,
    }),
  );
  if (device === undefined && out === undefined && !context.json) console.log(signed.certificate);
}

async function readRequest(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new CliError(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

type BatchOptions = {
  count: number;
  out: string;
  prefix: string;
  start: number;
  model?: string;
  bootstrap: string;
};

async function batch(context: Context, options: BatchOptions): Promise<void> {
  const { count, out, prefix, start, model, bootstrap } = options;
  if (!Number.isInteger(count) || count < 1) throw new CliError('--count: a whole number, at least 1');
  const made: FactoryResult[] = [];
  const failed: { device: string; code: string; message: string }[] = [];
  for (let first = start; first < start + count; first += BATCH) {
    const size = Math.min(BATCH, start + count - first);
    const devices = Array.from({ length: size }, (_, i) =>
      makeDevice(`${prefix}${String(first + i).padStart(4, '0')}`),
    );
    const results = await signAll(
      context,
      devices.map(({ csr }) => ({ csr, ...optional('model', model) })),
    );
    await Promise.all(
      devices.map(async (device: NewDevice, i) => {
        const result = results[i];
        if (result === undefined || 'error' in result) {
          const { code = 'no-answer', message = 'the factory answered nothing' } = result?.error ?? {};
          failed.push({ device: device.id, code, message });
          return;
        }
        await writeDeviceFolder(join(out, device.id), device, result, bootstrap);
        made.push(result);
      }),
    );
    if (!context.json) console.error(`${made.length} of ${count} made`);
  }
  context.say({ made: made.length, failed }, () => {
    const lines = failed.map(({ device, code, message }) => `${device}: ${code}: ${message}`);
    return [...lines, `${made.length} device folders in ${out}`].join('\n');
  });
  if (failed.length > 0) throw new CliError(`${failed.length} of ${count} devices were not made`);
}

async function signAll({ api }: Context, items: object[]): Promise<SignResult[]> {
  const { results } = await api.post<{ results: SignResult[] }>(
    '/v1/accounts/{account}/factory/certificates',
    { items },
  );
  return results;
}

function optional<V>(name: string, value: V | undefined): Record<string, V> {
  return value === undefined ? {} : { [name]: value };
}
