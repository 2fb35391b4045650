import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { openLocalBus } from '@signet/bus';
import {
  addCrlSource,
  applyCrlToDevices,
  fetchCrlSource,
  getCrlSource,
  identifyCertificates,
  listAuthorities,
  OperationError,
} from '@signet/contracts';
import { denyListSource, openDenyList, SessionIndex } from '@signet/denylist';
import { parseCertificatePem } from '@signet/pki';
import { createLogger, Health, startMetrics } from '@signet/service';
import { openDatabase } from '@signet/sqlite';
import { openSqliteStore } from '@signet/store/sqlite';
import { startRevocationSync } from '../../services/revocation-sync/src/app.ts';
import { revocationSyncConfig } from '../../services/revocation-sync/src/config.ts';

/** `measure.ts <folder> <url of the CRLs> <entries>`, the issuer on stdin. */
const [folder = '', url = '', entries = '0'] = process.argv.slice(2);
const issuer = await text(process.stdin);
const { subjectKeyId = '' } = parseCertificatePem(issuer);
const settings = { by: 'bench', issuer, everySeconds: 86_400 };

const database = openDatabase(join(folder, 'signet.db'));
const bus = await openLocalBus({ database });
const store = await openSqliteStore({ database, eventLog: true });
const log = createLogger({ service: 'bench', level: 'warn', destination: process.stderr });
const { metrics } = startMetrics();
const authority = {
  ...{ authorityId: 'maker', kind: 'issuing' as const, account: 'acme', state: 'active' as const },
  ...{ certificate: issuer, subjectKeyId, notAfter: '2040-01-01T00:00:00Z', keyElsewhere: true },
};
let told = 0;
await bus.serve(listAuthorities, async () => ({ authorities: [authority] }));
await bus.serve(identifyCertificates, async () => ({ certificates: [] }));
await bus.serve(applyCrlToDevices, async ({ listed, unlisted }) => {
  told += listed.length + unlisted.length;
  return { blocked: [], unblocked: [] };
});
const deps = { store, bus: bus.replica(), log, now: Date.now, health: new Health(), metrics };
await startRevocationSync(revocationSyncConfig.parse({ SIGNET_OUTWARD_PRIVATE: 'true' }), deps);

async function listener() {
  const started = performance.now();
  const onError = (error: unknown) => log.error({ err: error }, 'session');
  const list = openDenyList({
    source: denyListSource(bus.replica()),
    sessions: new SessionIndex({ now: Date.now, onError }),
    ...{ staleAfterMs: 60_000, now: Date.now, log },
  });
  await list.whenLoaded();
  return { list, seconds: (performance.now() - started) / 1000 };
}

const megabytes = (bytes: number) => Math.round(bytes / 1e6);
const rss = () => {
  globalThis.gc?.();
  return megabytes(process.memoryUsage.rss());
};
const { list } = await listener();
const before = rss();

const named = { account: 'acme', name: 'maker' };

/** Until the listener denies so many. */
async function denied(size: number, work: Promise<unknown>): Promise<{ first: number; all: number }> {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const held = list.size();
  let first = 0;
  await work;
  while (list.size() < size) {
    if (first === 0 && list.size() > held) first = seconds();
    await setTimeout(5);
  }
  return { first, all: seconds() };
}

const cpuBefore = process.cpuUsage();
const added = bus.request(addCrlSource, { ...settings, ...named, urls: [url] });
const whole = await denied(Number(entries), added);
const cpu = process.cpuUsage(cpuBefore);
while (told < Number(entries)) await setTimeout(5);
if (list.mismatch() !== undefined) throw new Error(list.mismatch());
const peak = megabytes(process.resourceUsage().maxRSS * 1024);
const after = rss();
const late = await listener();
if (late.list.size() !== Number(entries)) throw new Error(`late listener: ${late.list.size()}`);
const isDone = async () => (await bus.request(getCrlSource, named)).parts[0]?.number === '1';
while (!(await isDone())) await setTimeout(5);
const next = performance.now();
const { parts } = await whenFree(() => bus.request(fetchCrlSource, named, { deadlineMs: 600_000 }));
if (parts[0]?.number !== '2') throw new Error(`next CRL: ${JSON.stringify(parts)}`);
const nextSeconds = (performance.now() - next) / 1000;
async function whenFree<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof OperationError) || error.code !== 'crl-source-busy') throw error;
      await setTimeout(5);
    }
  }
}

const round = (value: number) => Number(value.toFixed(2));
process.stdout.write(
  JSON.stringify({
    firstDeniedSeconds: round(whole.first),
    allDeniedSeconds: round(whole.all),
    cpuSeconds: round((cpu.user + cpu.system) / 1e6),
    rssMb: { before, peak, after },
    nextCrlSeconds: round(nextSeconds),
    snapshotLoadSeconds: round(late.seconds),
    peakMbOfAll: megabytes(process.resourceUsage().maxRSS * 1024),
  }),
);
process.exit();
