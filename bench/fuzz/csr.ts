import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  createTemplate,
  decodeCertsOnly,
  generateKeyPair,
  issue,
  issueRoot,
  keySigner,
  parseCertificate,
  prepare,
} from '@signet/pki';
import { startChild } from '../est/child.ts';
import { send } from '../est/enrolment-client.ts';
import { embedded } from '../est/environment.ts';
import { type BenchDevice, bootstrapDevices, grantsFor } from '../est/preparation.ts';
import { acceptedByUs } from './csr-oracle.ts';
import { csrSeeds } from './csr-seeds.ts';
import { Finding } from './finding.ts';
import { mutate, seededRandom } from './mutate.ts';

const BATCH = 400;
const OVER_THE_WIRE = 40;
const DAY_MS = 86_400_000;

/**
 * Malformed certification requests, for so many seconds: read and verified by us and by the oracle; what is accepted is
 * certified and linted; a share goes over HTTPS through the whole service. Every certificate that comes of it is given
 * to `openssl verify`.
 * @throws Finding at the first fault, with the request that shows it, and the seed
 */
export async function fuzzCsr(seconds: number, seed: number): Promise<object> {
  const folder = mkdtempSync(join(tmpdir(), 'signet-fuzz-'));
  const random = seededRandom(seed);
  using server = startChild('./enrolment-server.ts', { env: embedded(folder) });
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const told = { requests: 0, accepted: 0, overTheWire: 0, enrolled: 0, opensslVerified: 0 };
  try {
    const port = await server.ask<number>({});
    const anchors = await server.ask<string>({ ask: 'anchors' });
    const [device] = (await bootstrapDevices(server, 1, anchors)) as [BenchDevice];
    const seeds = csrSeeds();
    const certify = await certifier(folder);
    const oneMore = () => {
      const [csr, other] = [seeds[random(seeds.length)], seeds[random(seeds.length)]] as [
        Uint8Array,
        Uint8Array,
      ];
      return mutate(csr, other, random);
    };
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      const batch = Array.from({ length: BATCH }, oneMore);
      const made: Uint8Array[] = [];
      for (const der of batch) {
        const csr = await acceptedByUs(der).catch((error: unknown) => reported(error, der, seed));
        if (csr !== undefined)
          made.push(await certify(csr).catch((error: unknown) => reported(error, der, seed)));
      }
      told.requests += batch.length;
      told.accepted += made.length;
      told.opensslVerified += await verified(folder, join(folder, 'root.pem'), made);

      const sent = batch.slice(0, OVER_THE_WIRE);
      const holders = sent.map((_, i) => ({
        deviceId: `fuzz-${told.overTheWire + i}`,
        fingerprint: device.fingerprint,
      }));
      const grants = await grantsFor(server, holders);
      const enrolled: Uint8Array[] = [];
      for (const [i, der] of sent.entries()) {
        const answer = await send(
          { port, anchors },
          {
            deviceId: holders[i]?.deviceId ?? '',
            grant: grants[i] ?? '',
            context: device.context,
            csr: Buffer.from(der).toString('base64'),
          },
          agent,
        ).catch((error: unknown) => reported(error, der, seed));
        if (answer.status >= 500 || (answer.status !== 200 && answer.status < 400))
          reported(new Finding(`answered ${answer.status}: ${answer.body}`), der, seed);
        if (answer.status !== 200) continue;
        enrolled.push(...decodeCertsOnly(new Uint8Array(Buffer.from(answer.body, 'base64'))));
      }
      told.overTheWire += sent.length;
      told.enrolled += enrolled.length;
      told.opensslVerified += await verified(folder, await chainFile(folder, server), enrolled);
    }
    return { fuzz: 'csr', seconds, seed, ...told };
  } finally {
    agent.destroy();
    rmSync(folder, { recursive: true, force: true });
  }
}

function reported(error: unknown, der: Uint8Array, seed: number): never {
  const shown = Buffer.from(der).toString('base64');
  throw new Finding(`${String(error)}; seed ${seed}; request ${shown}`, { cause: error });
}

/** Certifies what the DER reader accepted, with a CA of this run. */
async function certifier(folder: string) {
  const signer = keySigner(generateKeyPair('P-256').privateKey);
  const now = Date.now();
  const subject = { commonName: 'Fuzz CA' };
  const issuer = await issueRoot({ subject, signer, issuedAt: now, notAfter: now + 365 * DAY_MS });
  writeFileSync(join(folder, 'root.pem'), issuer.pem());
  const template = createTemplate({ kind: 'operational', issuer });
  return async ({ spkiDer }: { readonly spkiDer: Uint8Array }): Promise<Uint8Array> => {
    const facts = {
      subject: { commonName: 'dev-1', organization: 'fuzz' },
      sans: { uris: ['spiffe://signet.local/fuzz/device/dev-1'] },
      issuedAt: now,
      notAfter: now + 90 * DAY_MS,
    };
    return (await issue(prepare(template, { ...facts, spkiDer }), signer)).der;
  };
}

async function chainFile(folder: string, server: ReturnType<typeof startChild>): Promise<string> {
  const path = join(folder, 'platform.pem');
  writeFileSync(path, await server.ask<string>({ ask: 'authorities' }));
  return path;
}

/** @throws Finding where openssl accepts one of them not */
async function verified(folder: string, authorities: string, ders: readonly Uint8Array[]): Promise<number> {
  if (ders.length === 0) return 0;
  const leaves = ders.map((der, i) => {
    const path = join(folder, `leaf-${i}.pem`);
    writeFileSync(path, parseCertificate(der).pem());
    return path;
  });
  try {
    await promisify(execFile)('openssl', [
      ...['verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', authorities],
      ...leaves,
    ]);
    return ders.length;
  } catch (cause) {
    throw new Finding(`openssl refuses a certificate of ours: ${String((cause as Error).message)}`, {
      cause,
    });
  }
}
