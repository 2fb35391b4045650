import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, openAsBlob, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, type RequestOptions, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import { promisify } from 'node:util';
import { createCsr, encodePem, generateKeyPair } from '@signet/pki';
import { nodeEnvironment, nodeFlags } from '@signet/standalone/node-settings';
import type { Asked, Started } from './bootstrap/server.ts';
import { type Child, startChild } from './est/child.ts';
import { each } from './est/enrolment-client.ts';

const ROUNDS = 8;
const KEPT = { warmUp: 600, perRound: 250, width: 8 };
const NEW = { warmUp: 600, perRound: 80, width: 4 };
const BATCH = 200;
const RECORDS = Number(process.env.SIGNET_BENCH_RECORDS ?? 1_000_000);
const CLAIMED = 100_000;

/**
 * Handoffs (`POST /v1/bootstrap`) of claimed devices, mutual TLS with P-256, against the whole platform in embedded
 * mode: its own process, SQLite file, local bus; each is a grant and the device's step, on disk. Then, on a store of a
 * million factory records, a claim by CSV over the API, and pages of the factory log. CPU and memory are those of the
 * server process, warmed up by as many requests as have Node compile what is run often; rounds of the three kinds
 * alternate, medians are reported.
 */
export async function bootstrap(): Promise<object> {
  const handOvers = await inFolder(measureHandOvers);
  const records = await inFolder(measureRecords);
  return { bench: 'bootstrap', ...handOvers, ...records };
}

async function measureHandOvers(folder: string): Promise<object> {
  using server = startPlatform(folder);
  using bare = startChild('./bare-server.ts');
  const { port, anchors } = await server.ask<Started>({});
  const barePort = await bare.ask<number>(identityOf(folder));
  const line = (await madeDevices(server, 1, 'kept', anchors))[0];
  const fresh = await madeDevices(server, NEW.warmUp + ROUNDS * NEW.perRound, 'new', anchors);
  if (line === undefined) throw new Error('nothing made');
  const agent = new Agent({ keepAlive: true, maxSockets: KEPT.width, scheduling: 'fifo' });
  const kept = (count: number) =>
    each(Array(count).fill(line), KEPT.width, (context) => handOver(port, context, agent));
  const anew = (batch: readonly SecureContext[]) =>
    each(batch, NEW.width, (context) => handOver(port, context, false));
  const bareTls = (batch: readonly SecureContext[]) =>
    each(batch, NEW.width, (context) => handOver(barePort, context, false));

  await kept(KEPT.warmUp);
  await anew(fresh.slice(0, NEW.warmUp));
  await bareTls(fresh.slice(0, NEW.warmUp));
  const rounds = { keepAlive: [] as Round[], newConnection: [] as Round[], bareTls: [] as Round[] };
  const serverCpu = () => server.ask<number>({ ask: 'cpu' } satisfies Asked);
  const bareCpu = () => bare.ask<number>({ ask: 'cpu' });
  for (let round = 0; round < ROUNDS; round++) {
    const batch = fresh.slice(NEW.warmUp + round * NEW.perRound, NEW.warmUp + (round + 1) * NEW.perRound);
    rounds.bareTls.push(await measured(bareCpu, batch.length, () => bareTls(batch)));
    rounds.newConnection.push(await measured(serverCpu, batch.length, () => anew(batch)));
    rounds.keepAlive.push(await measured(serverCpu, KEPT.perRound, () => kept(KEPT.perRound)));
  }
  agent.destroy();
  const newConnection = medians(rounds.newConnection);
  const alone = medians(rounds.bareTls);
  return {
    keepAlive: medians(rounds.keepAlive),
    newConnection,
    bareTls: alone,
    ratioToBareTls: rounded(newConnection.serverCpuMs / alone.serverCpuMs),
  };
}

async function measureRecords(folder: string): Promise<object> {
  const seeding = join(import.meta.dirname, 'bootstrap', 'seed.ts');
  const began = performance.now();
  await promisify(execFile)(process.execPath, [seeding, folder, String(RECORDS), someCertificate()]);
  const seedSeconds = rounded((performance.now() - began) / 1000);
  const file = join(folder, 'claims.csv');
  const lines = Math.min(CLAIMED, RECORDS);
  writeFileSync(
    file,
    `fingerprint,group\n${Array.from({ length: lines }, (_, n) => `${fingerprintOf(n)},hall-${n % 7}\n`).join('')}`,
  );
  using server = startPlatform(folder);
  const { api } = await server.ask<Started>({});
  const start = performance.now();
  const outcomes = await claimFile(api, file);
  const seconds = rounded((performance.now() - start) / 1000);
  const peakRssMb = Math.round(await server.ask<number>({ ask: 'rss' } satisfies Asked));
  const pages = (await server.ask<number[]>({ ask: 'pages' } satisfies Asked)).toSorted((a, b) => a - b);
  const at = (share: number) => rounded(pages[Math.floor(pages.length * share)] ?? 0);
  return {
    claimCsv: { lines, seconds, peakRssMb, outcomes },
    listPageMs: { records: RECORDS, pages: pages.length, median: at(0.5), p99: at(0.99), max: at(0.9999) },
    seedSeconds,
  };
}

/** The platform as a process of its own, under the settings of `npm start`. */
function startPlatform(folder: string): Child {
  const env = { ...nodeEnvironment, SIGNET_BENCH_FOLDER: folder };
  return startChild('../bootstrap/server.ts', { env, execArgv: [...nodeFlags] });
}

async function claimFile(api: Started['api'], file: string): Promise<object> {
  const response = await fetch(new URL('/v1/accounts/bench/devices/claims', api.url), {
    method: 'POST',
    headers: { authorization: `Bearer ${api.token}`, 'content-type': 'text/csv' },
    body: await openAsBlob(file),
  });
  if (!response.ok || response.body === null) throw new Error(`${response.status}: ${await response.text()}`);
  let last = '';
  for await (const chunk of response.body) last = (last + Buffer.from(chunk).toString()).slice(-1000);
  const end = JSON.parse(last.trimEnd().split('\n').at(-1) ?? '{}') as { outcomes?: object };
  return end.outcomes ?? { broken: last };
}

/** A device for each: claimed, its TLS context ready. */
async function madeDevices(
  server: Child,
  count: number,
  prefix: string,
  anchors: string,
): Promise<SecureContext[]> {
  const made: SecureContext[] = [];
  while (made.length < count) {
    const keys = Array.from({ length: Math.min(BATCH, count - made.length) }, () => generateKeyPair('P-256'));
    const csrs = keys.map(({ privateKey }, i) =>
      encodePem(
        'CERTIFICATE REQUEST',
        createCsr({ subject: { commonName: `${prefix}-${made.length + i}` }, privateKey }),
      ),
    );
    const certificates = await server.ask<string[]>({ ask: 'make', csrs } satisfies Asked);
    for (const [i, cert] of certificates.entries()) {
      const key = keys[i]?.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
      made.push(createSecureContext({ cert, key, ca: anchors }));
    }
  }
  return made;
}

/** @throws where the answer is no 200 */
function handOver(port: number, secureContext: SecureContext, agent: Agent | false): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const options: RequestOptions & { readonly secureContext: SecureContext } = {
    ...{ host: '127.0.0.1', servername: 'localhost', port, method: 'POST', path: '/v1/bootstrap' },
    ...{ agent, secureContext },
    headers: { 'Content-Length': 0, ...(agent === false ? { Connection: 'close' } : {}) },
  };
  const outgoing = request(options, (response) => {
    response.resume();
    response.on('error', reject);
    response.on('end', () =>
      response.statusCode === 200 ? resolve() : reject(new Error(`status ${response.statusCode}`)),
    );
  });
  outgoing.on('error', reject);
  outgoing.end();
  return promise;
}

type Round = { readonly perSecond: number; readonly serverCpuMs: number };

async function measured(cpu: () => Promise<number>, count: number, run: () => Promise<void>): Promise<Round> {
  const before = await cpu();
  const start = performance.now();
  await run();
  const seconds = (performance.now() - start) / 1000;
  return { perSecond: count / seconds, serverCpuMs: ((await cpu()) - before) / count };
}

function medians(rounds: readonly Round[]): Round {
  const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
  return {
    perSecond: Math.round(median(rounds.map(({ perSecond }) => perSecond))),
    serverCpuMs: rounded(median(rounds.map(({ serverCpuMs }) => serverCpuMs))),
  };
}

const rounded = (value: number): number => Number(value.toFixed(3));
const fingerprintOf = (n: number): string => createHash('sha256').update(`device ${n}`).digest('hex');

/** PEM of the length that a bootstrap certificate has. */
const someCertificate = (): string =>
  encodePem('CERTIFICATE', createHash('shake256', { outputLength: 560 }).update('bench').digest());

/** The TLS identity of the bootstrap service, for the server that it is compared with. */
function identityOf(folder: string): { readonly cert: string; readonly key: string } {
  const pem = readFileSync(join(folder, 'tls', 'bootstrap.pem'), 'latin1');
  const key = /-----BEGIN PRIVATE KEY-----[\s\S]*?-----END PRIVATE KEY-----\n/.exec(pem)?.[0] ?? '';
  return { key, cert: pem.replace(key, '') };
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'signet-bench-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
