import { dirname, join } from 'node:path';
import { DeviceId, parseSerialRange, serialRangeSize, serialsIn } from '@signet/contracts';
import { CliError } from '../cli-error.ts';
import { readText } from '../read-input.ts';
import { parseCsv } from './csv.ts';

/** A device to be made. `id` where a key is made for it: with a CSR, that names it. */
export type WantedDevice = {
  readonly serial: string;
  readonly id: string;
  readonly model?: string;
  /** File of its CSR, where the CSV names one. */
  readonly csr?: string;
};

/** Devices to be made, in order; never all at once in memory where they are a range. */
export type WantedDevices = {
  readonly size: number;
  readonly devices: Iterable<WantedDevice>;
  /** Whether the list names a CSR for some of them. */
  readonly hasRequests: boolean;
};

/** Serial numbers name files: of those that certificates may have, what every file system takes. */
const SERIAL = /^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$/;

/** What a range (`SN-0001..SN-9999`) or a CSV file (columns `serial`, `id`, `model`, `csr`) asks for. @throws CliError */
export async function readWanted(what: string, model: string | undefined): Promise<WantedDevices> {
  const range = readRange(what);
  if (range === undefined) return readList(what, model);
  const common = model === undefined ? {} : { model };
  for (const serial of [serialsIn(range).next().value ?? '']) check(what, { serial, id: serial });
  const size = serialRangeSize(range);
  return {
    size,
    hasRequests: false,
    devices: {
      *[Symbol.iterator]() {
        for (const serial of serialsIn(range)) yield { serial, id: serial, ...common };
      },
    },
  };
}

function readRange(what: string) {
  try {
    return parseSerialRange(what);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    if (/[/\\]/.test(what)) return undefined;
    throw new CliError(error.message);
  }
}

async function readList(file: string, model: string | undefined): Promise<WantedDevices> {
  const columns = { required: ['serial'], optional: ['id', 'model', 'csr'] };
  const rows = parseCsv(file, await readText(file), columns);
  const lines = new Map<string, number>();
  const devices = rows.map(({ line, values }): WantedDevice => {
    const { serial = '', id, csr } = values;
    const device = { serial, id: id === undefined || id === '' ? serial : id };
    check(`${file}:${line}`, device);
    const earlier = lines.get(serial);
    if (earlier !== undefined)
      throw new CliError(`${file}:${line}: serial "${serial}" is in line ${earlier} already`);
    lines.set(serial, line);
    const its = values.model === undefined || values.model === '' ? model : values.model;
    return {
      ...device,
      ...(its === undefined ? {} : { model: its }),
      ...(csr === undefined || csr === '' ? {} : { csr: join(dirname(file), csr) }),
    };
  });
  if (devices.length === 0) throw new CliError(`${file}: no device in it`);
  const hasRequests = devices.some(({ csr }) => csr !== undefined);
  return { size: devices.length, devices, hasRequests };
}

function check(where: string, { serial, id }: { serial: string; id: string }): void {
  if (!SERIAL.test(serial))
    throw new CliError(`${where}: serial "${serial}": letters, digits, "." and "-", at most 64`);
  if (!DeviceId.safeParse(id).success)
    throw new CliError(`${where}: id "${id}": letters, digits, "_" and "-", at most 64`);
}
