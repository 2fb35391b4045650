import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type CrlEntry, createCrl } from '@signet/pki';
import { createTestPki } from '@signet/pki/testing';

const SIZES = (process.env.SIGNET_BENCH_ENTRIES ?? '10000,100000,1000000').split(',').map(Number);
/** New in the CRL after it. */
const MORE = 1000;
const DAY_MS = 86_400_000;

/**
 * The whole way of a foreign CRL: fetched over HTTP, judged, each entry denied in the ledger (SQLite) and told to the
 * owner of the devices (who knows none), to a listener that was there from the start, and to one that comes afterwards
 * and loads the snapshot; then the next CRL, of 1,000 more. Authority, store and both listeners are one process, whose
 * memory is measured; the CRLs are made and served by another.
 */
export async function crlSource(): Promise<object> {
  const sizes: object[] = [];
  for (const entries of SIZES) sizes.push(await measure(entries));
  return { bench: 'crl-source', source: 'sqlite; http; two listeners in the process', sizes };
}

async function measure(count: number): Promise<object> {
  const pki = createTestPki();
  const all = Array.from({ length: count + MORE }, (): CrlEntry => {
    return {
      serialNumber: `5a${randomBytes(15).toString('hex')}`,
      revokedAt: Date.now() - DAY_MS,
      reason: 'superseded',
    };
  });
  const made = (number: number, entries: readonly CrlEntry[]) =>
    createCrl({
      ...{ issuer: pki.issuing.certificate, signer: pki.issuing.signer, number, entries },
      ...{ thisUpdate: Date.now() - 1000, nextUpdate: Date.now() + DAY_MS },
    });
  const crls = [await made(1, all.slice(0, count)), await made(2, all)];
  all.length = 0;
  let asked = 0;
  const server = createServer((_, response) => response.end(crls[asked++ === 0 ? 0 : 1])).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const folder = await mkdtemp(join(tmpdir(), 'signet-bench-crl-source-'));
  try {
    const module = fileURLToPath(new URL('./crl-source/measure.ts', import.meta.url));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const child = spawn(process.execPath, ['--expose-gc', module, folder, url, String(count)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.end(pki.issuing.certificate.pem());
    const [out] = await Promise.all([text(child.stdout), once(child, 'close')]);
    if (child.exitCode !== 0) throw new Error(`crl-source: ended with ${child.exitCode}`);
    return { entries: count, bytes: crls[0]?.byteLength, ...(JSON.parse(out) as object) };
  } finally {
    server.close();
    await rm(folder, { recursive: true });
  }
}
