import { join } from 'node:path';
import { claimCodeOf } from '@signet/contracts';
import { replaceFile } from '@signet/files';
import { type Certificate, parseCertificatePem } from '@signet/pki';
import type { ApiClient } from '../api-client.ts';
import { CliError } from '../cli-error.ts';
import { csvLine } from './csv.ts';
import type { Places } from './places.ts';
import type { ProgressBar } from './progress-bar.ts';
import { MOST_AT_ONCE, signPatiently } from './sign-requests.ts';
import type { WantedDevice, WantedDevices } from './wanted-devices.ts';

export type Failure = { readonly serial: string; readonly code: string; readonly message: string };

export type BatchResult = {
  /** By this run, and by runs before it. */
  made: number;
  before: number;
  failed: Failure[];
  /** Whether it came to its end: it was not interrupted, and the budget was not used up. */
  complete: boolean;
};

/** What ends a batch: no later device can fare better. */
const FINAL: ReadonlySet<string> = new Set(['budget-exhausted', 'budget-over']);

/**
 * Makes devices, as many at a time as one call signs, the next ones in preparation while one call is under way. What
 * is there already is not made again: after an interrupt, however hard, the same command goes on where it was. The
 * list of what is there, `devices.csv`, is written at the end.
 */
export async function makeBatch(
  deps: {
    readonly api: ApiClient;
    readonly places: Places;
    readonly progress: ProgressBar;
    readonly stopped: AbortSignal;
  },
  { devices }: WantedDevices,
  out: string,
): Promise<BatchResult> {
  const { stopped } = deps;
  const result: BatchResult = { made: 0, before: 0, failed: [], complete: true };
  const lines: string[] = [];
  let underWay: Promise<string[]> = Promise.resolve([]);
  const isOver = () => stopped.aborted || result.failed.some(({ code }) => FINAL.has(code));
  for (const chunk of chunksOf(devices)) {
    if (isOver()) break;
    const prepared = await prepare(deps, chunk, result);
    lines.push(...(await underWay));
    if (isOver()) break;
    underWay = finish(deps, prepared, result);
    // an error is met where it is awaited
    underWay.catch(() => {});
  }
  lines.push(...(await underWay));
  result.complete = !isOver();
  await replaceFile(join(out, 'devices.csv'), HEAD + lines.join(''));
  return result;
}

type Prepared = { readonly device: WantedDevice; readonly certificate?: Certificate; readonly csr?: string };

async function prepare(
  { places, progress }: Parameters<typeof makeBatch>[0],
  chunk: readonly WantedDevice[],
  result: BatchResult,
): Promise<Prepared[]> {
  const prepared = await Promise.all(
    chunk.map(async (device): Promise<Prepared> => {
      const certificate = await places.made(device);
      if (certificate !== undefined) return { device, certificate };
      try {
        return { device, csr: await places.request(device) };
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        result.failed.push({ serial: device.serial, code: 'no-request', message: error.message });
        return { device };
      }
    }),
  );
  const before = prepared.filter(({ certificate }) => certificate !== undefined).length;
  result.before += before;
  progress.add(0, before);
  return prepared;
}

async function finish(
  { api, places, progress, stopped }: Parameters<typeof makeBatch>[0],
  prepared: readonly Prepared[],
  result: BatchResult,
): Promise<string[]> {
  const open = prepared.flatMap(({ device, csr }) => (csr === undefined ? [] : [{ device, csr }]));
  const answers =
    open.length === 0
      ? []
      : await signPatiently(
          api,
          open.map(({ device: { serial, model }, csr }) => ({
            csr,
            deviceSerialNumber: serial,
            ...(model === undefined ? {} : { model }),
          })),
          stopped,
        );
  const made = new Map<WantedDevice, Certificate>();
  await Promise.all(
    open.map(async ({ device }, i) => {
      const answer = answers[i] ?? {
        error: { code: 'no-answer', message: 'the factory returned no result' },
      };
      if ('error' in answer) {
        result.failed.push({ serial: device.serial, ...answer.error });
        return;
      }
      await places.keep(device, answer);
      made.set(device, parseCertificatePem(answer.certificate));
    }),
  );
  result.made += made.size;
  progress.add(made.size);
  return prepared.flatMap(({ device, certificate = made.get(device) }) =>
    certificate === undefined ? [] : [lineOf(device, certificate)],
  );
}

function* chunksOf(devices: Iterable<WantedDevice>): Generator<WantedDevice[]> {
  let chunk: WantedDevice[] = [];
  for (const device of devices) {
    if (chunk.push(device) < MOST_AT_ONCE) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

const HEAD = csvLine(['serial', 'id', 'model', 'fingerprint', 'code', 'certificate serial']);

function lineOf({ serial, model }: WantedDevice, certificate: Certificate): string {
  const { fingerprint, subject, serialNumber } = certificate;
  return csvLine([serial, subject.commonName, model, fingerprint, claimCodeOf(fingerprint), serialNumber]);
}
