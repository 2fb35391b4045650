import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SIZES = [10_000, 100_000, 1_000_000];
const REVOKED_SINCE = 1000;

const execute = promisify(execFile);

type Measured = {
  readonly entries: number;
  readonly seconds: number;
  readonly peakRssMb: number;
  readonly bytes: number;
  readonly deltaSeconds: number;
  readonly deltaEntries: number;
  readonly maxLoopBlockMs: number;
  /** CPU of the main thread in one turn of the loop: what other processes take is not in it. */
  readonly maxLoopCpuMs: number;
};

/**
 * A complete CRL that is due on schedule, on a SQLite store: the entries of the one before it are read back, those of
 * ended certificates (one in a hundred) dropped, the rest merged in a worker thread, signed, stored in chunks and
 * published by compare-and-set. Then the delta after 1,000 more revocations: their records are read page by page. Each
 * size is a process of its own, so that the peak of its memory is its own; the store is filled by another. openssl
 * verifies the CRLs afterwards. Medians of three rounds.
 */
export async function crl(): Promise<object> {
  const sizes: object[] = [];
  for (const entries of SIZES) {
    const { deltaEntries, ...measured } = await measure(entries);
    if (measured.entries !== entries || deltaEntries !== REVOKED_SINCE)
      throw new Error(`crl: ${measured.entries} and ${deltaEntries} entries, of ${entries}`);
    sizes.push(
      Object.fromEntries(Object.entries(measured).map(([name, value]) => [name, Number(value.toFixed(3))])),
    );
  }
  return {
    bench: 'crl',
    source: 'sqlite; entries of the complete CRL before, with 1% of ended certificates; 1000 new records',
    sizes,
  };
}

async function measure(entries: number): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), 'signet-bench-crl-'));
  try {
    const now = String(Date.now());
    await run('seed.ts', folder, String(entries), now);
    const measured = JSON.parse(await run('measure.ts', folder, now, String(REVOKED_SINCE))) as Measured;
    await verify(folder);
    return measured;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function run(module: string, ...args: readonly string[]): Promise<string> {
  const path = fileURLToPath(new URL(`./crl/${module}`, import.meta.url));
  const { stdout } = await execute(process.execPath, [path, ...args]);
  return stdout;
}

async function verify(folder: string): Promise<void> {
  const { certificate } = JSON.parse(readFileSync(join(folder, 'authority.json'), 'utf8')) as {
    certificate: string;
  };
  writeFileSync(join(folder, 'ca.pem'), certificate);
  for (const file of ['base.crl', 'delta.crl']) {
    const args = ['crl', '-inform', 'DER', '-in', join(folder, file), '-noout', '-verify'];
    const { stderr } = await execute('openssl', [...args, '-CAfile', join(folder, 'ca.pem')]);
    if (!stderr.includes('verify OK')) throw new Error(`crl: openssl does not verify ${file}: ${stderr}`);
  }
}
