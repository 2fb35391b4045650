import { writeFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector/promises';
import process from 'node:process';
import { createGrant, signBootstrap } from '@signet/contracts';
import { startEstCa } from '@signet/est-ca';
import { estCaConfig } from '@signet/est-ca/config';
import { startRevocationSync } from '@signet/revocation-sync';
import { revocationSyncConfig } from '@signet/revocation-sync/config';
import { openConfiguredAdmission, openRuntime, parseConfig } from '@signet/service';

/**
 * The EST service in embedded mode (SQLite file, local bus, deny list), as a process of its own: what it prepares and
 * what it used is asked over the process channel.
 */
export type Asked =
  | { readonly ask: 'certify'; readonly account: string; readonly devices: readonly Device[] }
  | { readonly ask: 'grants'; readonly account: string; readonly holders: readonly Holder[] }
  | { readonly ask: 'cpu' }
  | { readonly ask: 'profile'; readonly file?: string }
  | { readonly ask: 'anchors' }
  | { readonly ask: 'authorities' };
export type Device = { readonly deviceId: string; readonly csr: string };
export type Holder = { readonly deviceId: string; readonly fingerprint: string };

const config = parseConfig(estCaConfig.extend(revocationSyncConfig.shape), process.env);
const runtime = await openRuntime('bench', config);
const admission = await openConfiguredAdmission(config, runtime.deps);
const deps = { ...runtime.deps, admission };
const service = await startEstCa(config, deps);
await startRevocationSync(config, runtime.deps);
await Promise.all([admission.trust.whenLoaded(), admission.denyList.whenLoaded()]);
runtime.started();

const milliseconds = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1000;
const { bus } = runtime.deps;
const inspector = new Session();
inspector.connect();
const answers = {
  async certify({ account, devices }: Extract<Asked, { ask: 'certify' }>) {
    const items = devices.map(({ deviceId, csr }) => ({ deviceId, csr }));
    const { results } = await bus.request(signBootstrap, { account, items }, { deadlineMs: 60_000 });
    return results.map((result) => ('certificate' in result ? result.certificate : ''));
  },
  async grants({ account, holders }: Extract<Asked, { ask: 'grants' }>) {
    return Promise.all(
      holders.map(async (holder) => (await bus.request(createGrant, { account, ...holder })).grant),
    );
  },
  async cpu() {
    return { process: milliseconds(process.cpuUsage()), mainThread: milliseconds(process.threadCpuUsage()) };
  },
  /** Begins a CPU profile of the main thread; with a file, ends it. */
  async profile({ file }: Extract<Asked, { ask: 'profile' }>) {
    if (file === undefined) {
      await inspector.post('Profiler.enable');
      await inspector.post('Profiler.start');
    } else {
      const { profile } = (await inspector.post('Profiler.stop')) as Profiler.StopReturnType;
      writeFileSync(file, JSON.stringify(profile));
    }
  },
  async authorities() {
    return admission.trust
      .authorities()
      .map(({ certificate }) => certificate)
      .join('');
  },
  async anchors() {
    return admission.trust.anchors().join('');
  },
};

process.on('message', (asked: Asked) => {
  const answer = answers[asked.ask] as (asked: Asked) => Promise<unknown>;
  answer(asked).then(
    (value) => process.send?.({ value }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
process.send?.({ value: service.estPort });
