import process from 'node:process';
import { createGrant, OperationError, setDeviceConfig, signBootstrap } from '@signet/contracts';
import { startEstCa } from '@signet/est-ca';
import { estCaConfig } from '@signet/est-ca/config';
import { startProvisioning } from '@signet/provisioning';
import { provisioningConfig } from '@signet/provisioning/config';
import { startRevocationSync } from '@signet/revocation-sync';
import { revocationSyncConfig } from '@signet/revocation-sync/config';
import { openConfiguredAdmission, openRuntime, parseConfig } from '@signet/service';
import type { Device, Holder } from '../est/enrolment-server.ts';

/** EST, the device gateway and the deny list in embedded mode, as a process of its own. */
type Asked =
  | { readonly ask: 'certify'; readonly account: string; readonly devices: readonly Device[] }
  | { readonly ask: 'grants'; readonly account: string; readonly holders: readonly Holder[] }
  | { readonly ask: 'write'; readonly account: string; readonly deviceId: string }
  | { readonly ask: 'anchors' };

const schema = estCaConfig.extend(revocationSyncConfig.shape).extend(provisioningConfig.shape);
const config = parseConfig(schema, process.env);
const runtime = await openRuntime('bench', config);
const admission = await openConfiguredAdmission(config, runtime.deps);
const deps = { ...runtime.deps, admission };
const estCa = await startEstCa(config, deps);
await startRevocationSync(config, runtime.deps);
const provisioning = await startProvisioning(config, deps);
await Promise.all([admission.trust.whenLoaded(), admission.denyList.whenLoaded()]);
runtime.started();

const { bus } = runtime.deps;
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
  /** An operator's write of a device's config: the code of its refusal, or `written`. */
  async write({ account, deviceId }: Extract<Asked, { ask: 'write' }>) {
    const files = [{ name: 'bench', value: 'x', unencrypted: true }];
    try {
      await bus.request(setDeviceConfig, { account, deviceId, files, by: 'bench' });
      return 'written';
    } catch (error) {
      if (error instanceof OperationError) return error.code;
      throw error;
    }
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
process.send?.({ value: { est: estCa.estPort, gateway: provisioning.ports.gateway } });
