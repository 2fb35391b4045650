import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  addCrlSource,
  applyCrlToDevices,
  denylistChanges,
  fetchCrlSource,
  listAuthorities,
} from '@signet/contracts';
import { denyListSource, openDenyList, SessionIndex } from '@signet/denylist';
import { parseCertificatePem } from '@signet/pki';
import { createLogger, Health, openBackbone, startMetrics } from '@signet/service';
import { requireServer } from '@signet/tests/servers';
import { startNats } from '@signet/tests/servers/start';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { startRevocationSync } from '../src/app.ts';
import { revocationSyncConfig } from '../src/config.ts';
import { OpensslCa } from './pki.ts';

const binary = requireServer('nats-server');
const mongo = requireServer('mongo');
const log = createLogger({ service: 'test', level: 'silent' });
const until = (check: () => void) => vi.waitFor(check, { timeout: 60_000, interval: 20 });

const stack = new AsyncDisposableStack();
afterEach(() => stack.disposeAsync());

describe.skipIf(binary === '' || mongo === '')('two replicas over NATS and MongoDB', () => {
  it('F30: one asks for a CRL, the other meanwhile does not; when it is killed the other takes over, and numbers go on without a gap', async () => {
    const ca = stack.use(await OpensslCa.create());
    const issuer = await ca.certificate;
    const { subjectKeyId: issuerKeyId = '' } = parseCertificatePem(issuer);
    const entries = Array.from({ length: 30 }, (_, n) => ({ serialNumber: (0x5a00 + n).toString(16) }));
    const crl = await ca.list({ number: 1, entries });
    const asked: ServerResponse[] = [];
    const server = createServer((_, response) => void asked.push(response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    stack.defer(() => server.closeAllConnections());
    stack.defer(() => void server.close());

    // of its own: other tests serve the same operations
    const nats = stack.use(await startNats(binary)).url;
    const store = `${mongo.replace(/\/$/, '')}/crl_lease_${process.pid}`;
    const folder = await mkdtemp(join(tmpdir(), 'crl-lease-'));
    stack.defer(() => rm(folder, { recursive: true }));
    const backbone = async (name: string) =>
      stack.use(await openBackbone({ store, bus: nats, dataDir: folder, name, log }));
    const { bus } = await backbone('others');
    const authority = {
      ...{ authorityId: 'maker-1', kind: 'factory' as const, account: 'acme', state: 'active' as const },
      ...{ certificate: issuer, subjectKeyId: issuerKeyId, notAfter: '2040-01-01T00:00:00Z' },
    };
    stack.use(await bus.serve(listAuthorities, async () => ({ authorities: [authority] })));
    stack.use(await bus.serve(applyCrlToDevices, async () => ({ blocked: [], unblocked: [] })));

    const victim = await startedReplica(folder, { store, bus: nats });
    const named = { account: 'acme', name: `maker-${process.pid}` };
    const urls = [`http://127.0.0.1:${(server.address() as AddressInfo).port}/a.crl`];
    await bus.request(addCrlSource, { ...named, issuer, urls, everySeconds: 86_400, by: 'ada' });
    await until(() => expect(asked).toHaveLength(1));

    let ahead = 0;
    const now = () => Date.now() + ahead;
    const own = await backbone('survivor');
    const { metrics } = startMetrics();
    const config = revocationSyncConfig.parse({ SIGNET_OUTWARD_PRIVATE: 'true' });
    const deps = { ...own, log, now, health: new Health(), metrics };
    stack.use(await startRevocationSync(config, deps));
    const sessions = new SessionIndex({ now, onError: (error) => expect.fail(String(error)) });
    const source = denyListSource(bus);
    const list = stack.use(openDenyList({ source, sessions, staleAfterMs: 600_000, now, log }));
    await list.whenLoaded();
    const before = list.number();
    for (let round = 0; round < 4; round++)
      await expect(bus.request(fetchCrlSource, named)).rejects.toMatchObject({ code: 'crl-source-busy' });
    expect(asked).toHaveLength(1);

    victim.kill('SIGKILL');
    await once(victim, 'exit');
    ahead = 61_000;
    await until(() => expect(asked).toHaveLength(2));
    asked[1]?.end(crl);
    await until(() => expect(list.size()).toBe(entries.length));
    const { changes } = await bus.request(denylistChanges, { from: before + 1, to: list.number() });
    expect(changes.map(({ number }) => number)).toEqual(changes.map((_, index) => before + 1 + index));
  }, 120_000);
});

/** A replica in a process of its own that has begun its work. */
async function startedReplica(
  folder: string,
  engines: { readonly store: string; readonly bus: string },
): Promise<ChildProcess> {
  const settings = {
    ...{ SIGNET_STORE: engines.store, SIGNET_BUS: engines.bus, SIGNET_DATA_DIR: folder },
    ...{ SIGNET_OUTWARD_PRIVATE: 'true', SIGNET_HEALTH_PORT: '0', SIGNET_LOG_LEVEL: 'info' },
  };
  const main = join(import.meta.dirname, '..', 'src', 'main.ts');
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  stack.defer(() => void child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += String(chunk);
  });
  await until(() => expect(said).toContain('deny list: loaded'));
  return child;
}
