import type { DeviceServiceDeps } from '@signet/service';
import { changeOwn, emptyConfig } from '../domain/config/device-config.ts';
import { serveProvisioningRequests } from '../messaging/requests/serve.ts';
import { upsert } from '../messaging/upsert.ts';
import type { ProvisioningStore } from './collections.ts';

/** Provisioning requests; the config that is attached to one becomes its device's own. */
export function serveExchanges(
  { bus, log, now }: DeviceServiceDeps,
  { requests, configs }: ProvisioningStore,
): Promise<AsyncDisposable> {
  return serveProvisioningRequests({
    ...{ bus, requests, now, log },
    writeConfig: ({ account, deviceId }, files, reason) => {
      const change = { set: files, by: 'provisioning', reason, now: now() };
      return upsert(configs, emptyConfig(account, deviceId, change.now), (held) => changeOwn(held, change));
    },
  });
}
