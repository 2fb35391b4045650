import type { DeviceServiceDeps } from '@signet/service';
import { changeOwn } from '../domain/config/device-config.ts';
import type { ProvisioningStore } from '../messaging/collections.ts';
import { changeConfig } from '../messaging/config/collections.ts';
import { serveProvisioningRequests } from '../messaging/requests/serve.ts';

/** Provisioning requests; the config that is attached to one becomes its device's own. */
export function serveExchanges(
  { bus, log, now }: DeviceServiceDeps,
  store: ProvisioningStore,
): Promise<AsyncDisposable> {
  return serveProvisioningRequests({
    ...{ bus, requests: store.requests, now, log },
    writeConfig: ({ account, deviceId }, files, reason) => {
      const change = { set: files, by: 'provisioning', reason, now: now() };
      return changeConfig(store, { account, deviceId }, (held) => changeOwn(held, change));
    },
  });
}
