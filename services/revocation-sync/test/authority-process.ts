import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import {
  addCrlSource,
  applyCrlToDevices,
  getCrlSource,
  identifyCertificates,
  listAuthorities,
} from '@signet/contracts';
import { denyListSource, openDenyList, SessionIndex } from '@signet/denylist';
import { parseCertificatePem } from '@signet/pki';
import { createLogger, Health, openBackbone, startMetrics } from '@signet/service';
import { startRevocationSync } from '../src/app.ts';
import { revocationSyncConfig } from '../src/config.ts';

/**
 * The authority in a process of its own, to be killed: `authority-process.ts <folder> <ms its clock is ahead> <url>`.
 * The folder holds the issuer, `ca.pem`, and a store. It follows the CRL at the URL, and writes a line for every change
 * of the deny list and every CRL accepted; first what the list holds at its start, of the serial numbers in `stays.json`.
 */
const [folder = '', ahead = '0', url = ''] = process.argv.slice(2);
const now = () => Date.now() + Number(ahead);
const log = createLogger({ service: 'test', level: 'silent' });
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const issuer = await readFile(join(folder, 'ca.pem'), 'utf8');
const { subjectKeyId: issuerKeyId = '' } = parseCertificatePem(issuer);
const store = `sqlite:${join(folder, 'signet.db')}`;
const { store: opened, bus } = await openBackbone({ store, bus: 'local', dataDir: folder, name: 'x', log });
const authority = {
  ...{ authorityId: 'maker-1', kind: 'factory' as const, account: 'acme', state: 'active' as const },
  ...{ certificate: issuer, subjectKeyId: issuerKeyId, notAfter: '2040-01-01T00:00:00Z' },
};
await bus.serve(listAuthorities, async () => ({ authorities: [authority] }));
await bus.serve(identifyCertificates, async () => ({ certificates: [] }));
await bus.serve(applyCrlToDevices, async () => ({ blocked: [], unblocked: [] }));
await bus.tail({ types: ['DENYLIST_CHANGED'], from: 'new' }, (event) => {
  if (event.type === 'DENYLIST_CHANGED') say({ change: event.data.number });
});
const { metrics } = startMetrics();
const config = revocationSyncConfig.parse({ SIGNET_OUTWARD_PRIVATE: 'true' });
await startRevocationSync(config, { store: opened, bus, log, now, health: new Health(), metrics });
const list = openDenyList({
  source: denyListSource(bus),
  sessions: new SessionIndex({ now, onError: (error) => log.error({ err: error }, 'session') }),
  ...{ staleAfterMs: 60_000, now, log },
});
await list.whenLoaded();
const stays = JSON.parse(await readFile(join(folder, 'stays.json'), 'utf8')) as string[];
const isDenied = (serialNumber: string) =>
  list.denied({ issuerKeyId, serialNumber, fingerprint: '', publicKeyHash: '' }) !== undefined;
say({ started: { size: list.size(), stay: stays.filter(isDenied).length } });

const named = { account: 'acme', name: 'maker' };
const settings = { ...named, issuer, urls: [url], everySeconds: 60, by: 'ada' };
await bus.request(addCrlSource, settings).catch((error: { code?: string }) => {
  if (error.code !== 'crl-source-exists') throw error;
});
let accepted: string | undefined;
setInterval(async () => {
  const { parts } = await bus.request(getCrlSource, named);
  const [part] = parts;
  if (part?.number === undefined || part.number === accepted) return;
  accepted = part.number;
  say({ accepted, entries: part.entries, size: list.size(), stay: stays.filter(isDenied).length });
}, 50);
