import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { decodeCertsOnly, deviceTlsOptions, parseCertificate } from '@signet/pki';
import { startChild } from './est/child.ts';
import { type Enrolment, each, keptConnections, post, type Target } from './est/enrolment-client.ts';
import { embedded } from './est/environment.ts';
import { type BenchDevice, bootstrapDevices, enrolmentsOf, serverIdentity } from './est/preparation.ts';

const ROUNDS = 8;
const KEPT = { warmUp: 1000, perRound: 250, width: 8 };
const NEW = { warmUp: 800, perRound: 80, width: 4 };
const CHECKED = 100;

/**
 * `simpleenroll` with mutual TLS, P-256, against the EST service in embedded mode: its own process, SQLite file, local
 * bus, durable record and event. Each request has a new key, device and grant, prepared before. CPU is that of the
 * whole server process, its writer thread included; the load comes from this process. Rounds of the three kinds
 * alternate, medians are reported; before them, as many requests as have Node compile what is run often.
 */
export async function est(): Promise<object> {
  const dataDir = mkdtempSync(join(tmpdir(), 'signet-bench-'));
  const profile = process.env.SIGNET_BENCH_CPU_PROF;
  using server = startChild('./enrolment-server.ts', {
    env: embedded(dataDir),
    execArgv: profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`],
  });
  using bare = startChild('./bare-server.ts');
  try {
    const port = await server.ask<number>({});
    const anchors = await server.ask<string>({ ask: 'anchors' });
    const identity = serverIdentity(dataDir);
    const barePort = await bare.ask<number>(identity);
    const target: Target = { port, anchors };

    const newCount = NEW.warmUp + ROUNDS * NEW.perRound;
    const devices = await bootstrapDevices(server, newCount + 1, anchors);
    const [line, ...own] = devices as [BenchDevice, ...BenchDevice[]];
    const keptCount = KEPT.warmUp + ROUNDS * KEPT.perRound;
    const kept = await enrolmentsOf(server, Array<BenchDevice>(keptCount).fill(line), 'kept');
    const fresh = await enrolmentsOf(server, own, 'new');

    const answers: string[] = [];
    const agent = keptConnections(KEPT.width);
    const enrolKept = (batch: readonly Enrolment[]) =>
      each(batch, KEPT.width, async (enrolment) => void answers.push(await post(target, enrolment, agent)));
    const enrolNew = (batch: readonly Enrolment[]) =>
      each(batch, NEW.width, async (enrolment) => void answers.push(await post(target, enrolment, false)));
    const askBare = (batch: readonly Enrolment[]) =>
      each(
        batch,
        NEW.width,
        async (enrolment) => void (await post({ port: barePort, anchors }, enrolment, false)),
      );

    await enrolKept(kept.slice(0, KEPT.warmUp));
    await enrolNew(fresh.slice(0, NEW.warmUp));
    await askBare(fresh.slice(0, NEW.warmUp));

    const rounds = { keepAlive: [] as Round[], newConnection: [] as Round[], bareTls: [] as Round[] };
    const serverCpu = async () => (await server.ask<{ process: number }>({ ask: 'cpu' })).process;
    const bareCpu = () => bare.ask<number>({ ask: 'cpu' });
    for (let round = 0; round < ROUNDS; round++) {
      const keptBatch = share(kept, KEPT, round);
      const newBatch = share(fresh, NEW, round);
      rounds.bareTls.push(await measured(bareCpu, newBatch.length, () => askBare(newBatch)));
      rounds.newConnection.push(await measured(serverCpu, newBatch.length, () => enrolNew(newBatch)));
      rounds.keepAlive.push(await measured(serverCpu, keptBatch.length, () => enrolKept(keptBatch)));
    }
    agent.destroy();
    const checks = await recount(dataDir, answers);
    const { ca, requestCert, secureOptions } = deviceTlsOptions(identity);
    const [keepAlive, newConnection, bareTls] = [rounds.keepAlive, rounds.newConnection, rounds.bareTls].map(
      medians,
    ) as [Round, Round, Round];
    return {
      bench: 'est',
      keepAlive,
      newConnection,
      bareTls: {
        serverCpuMs: bareTls.serverCpuMs,
        perSecond: bareTls.perSecond,
        ca,
        requestCert,
        secureOptions,
      },
      ratioToBareTls: rounded(newConnection.serverCpuMs / bareTls.serverCpuMs),
      ...checks,
    };
  } finally {
    if (profile !== undefined) await profileWritten(server, profile);
    rmSync(dataDir, { recursive: true, force: true });
  }
}

type Round = { readonly perSecond: number; readonly serverCpuMs: number };

function share<T>(items: readonly T[], { warmUp, perRound }: typeof NEW, round: number): readonly T[] {
  return items.slice(warmUp + round * perRound, warmUp + (round + 1) * perRound);
}

async function measured(cpu: () => Promise<number>, count: number, run: () => Promise<void>): Promise<Round> {
  const before = await cpu();
  const start = performance.now();
  await run();
  const seconds = (performance.now() - start) / 1000;
  return { perSecond: count / seconds, serverCpuMs: ((await cpu()) - before) / count };
}

/** What the answers are worth: each certificate is on record with its event, and openssl accepts a sample of them. */
async function recount(dataDir: string, answers: readonly string[]): Promise<object> {
  const database = new DatabaseSync(join(dataDir, 'signet.db'), { readOnly: true });
  const count = (sql: string) => Number(database.prepare(sql).get()?.n);
  const stored = count('SELECT count(*) AS n FROM "est-ca.certificates"');
  const events = count("SELECT count(*) AS n FROM event_log WHERE type = 'CERT_ISSUED'");
  const anchors = database
    .prepare('SELECT document FROM "est-ca.authorities"')
    .all()
    .map(({ document }) => JSON.parse(String(document)) as { certificate: string; kind: string });
  database.close();
  const root = join(dataDir, 'root.pem');
  const others = join(dataDir, 'others.pem');
  writeFileSync(
    root,
    anchors
      .filter(({ kind }) => kind === 'root')
      .map(({ certificate }) => certificate)
      .join(''),
  );
  writeFileSync(
    others,
    anchors
      .filter(({ kind }) => kind !== 'root')
      .map(({ certificate }) => certificate)
      .join(''),
  );
  const step = Math.max(1, Math.floor(answers.length / CHECKED));
  const sample = answers.filter((_, i) => i % step === 0).slice(0, CHECKED);
  const leaves = sample.map((answer, i) => {
    const [der = new Uint8Array()] = decodeCertsOnly(new Uint8Array(Buffer.from(answer, 'base64')));
    const path = join(dataDir, `leaf-${i}.pem`);
    writeFileSync(path, parseCertificate(der).pem());
    return path;
  });
  const { stdout } = await promisify(execFile)('openssl', [
    ...['verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', root, '-untrusted', others],
    ...leaves,
  ]);
  return { answered: answers.length, stored, events, opensslVerified: stdout.match(/: OK$/gm)?.length ?? 0 };
}

async function profileWritten(server: ReturnType<typeof startChild>, folder: string): Promise<void> {
  const exited = new Promise((resolve) => server.process.once('exit', resolve));
  server[Symbol.dispose]();
  await exited;
  process.stderr.write(`profiles: ${readdirSync(folder).join(', ')}\n`);
}

function medians(rounds: readonly Round[]): Round {
  return {
    perSecond: Math.round(median(rounds.map(({ perSecond }) => perSecond))),
    serverCpuMs: rounded(median(rounds.map(({ serverCpuMs }) => serverCpuMs))),
  };
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
const rounded = (value: number): number => Number(value.toFixed(3));
