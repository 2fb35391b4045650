import { type DeviceServiceDeps, type RunningService, whenAvailable } from '@signet/service';
import type { ProvisioningConfig } from './config.ts';
import { openProvisioningStore } from './messaging/collections.ts';
import { followDepartures } from './messaging/follow-departures.ts';
import { serveKeys } from './messaging/keys.ts';
import { serveMqttCredentials } from './messaging/mqtt-credentials.ts';
import { serveDeviceConfig } from './wiring/device-config.ts';
import { startGateway } from './wiring/gateway.ts';
import { serveExchanges } from './wiring/requests.ts';
import { serveRotationsAndCampaigns } from './wiring/rotations.ts';

/** Starts the provisioning service with its device gateway. Its port is `gateway`. */
export async function startProvisioning(
  config: ProvisioningConfig,
  deps: DeviceServiceDeps,
): Promise<RunningService> {
  const { bus, log, now } = deps;
  await using stack = new AsyncDisposableStack();
  const store = await whenAvailable(log, () => openProvisioningStore(deps.store));
  for (const subscription of await serveKeys({ bus, now, rings: store.rings })) stack.use(subscription);
  stack.use(await serveDeviceConfig(deps, store));
  stack.use(await serveExchanges(deps, store));
  stack.use(await serveRotationsAndCampaigns(config, deps, store));
  stack.use(await followDepartures({ bus, store, now }));
  const { credentials } = store;
  for (const subscription of await serveMqttCredentials({ bus, credentials, now })) stack.use(subscription);
  const gateway = stack.use(await startGateway(config, deps, store));
  const rest = stack.move();
  return { ports: { gateway: gateway.port }, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
