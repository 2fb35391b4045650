import type { DeviceServiceDeps } from '@signet/service';
import type { ProvisioningStore } from '../messaging/collections.ts';
import { followLayers, noticeConfigs } from '../messaging/config/follow-layers.ts';
import { followKeys } from '../messaging/config/follow-rotations.ts';
import { serveConfigs } from '../messaging/config/operators.ts';
import { followGroups } from '../messaging/groups/follow.ts';
import { serveGroups } from '../messaging/groups/operators.ts';
import { listenReports } from '../messaging/updates/mqtt-reports.ts';
import { serveUpdates, sweepUpdates } from '../messaging/updates/operators.ts';

/** Config, the groups that share it, and what devices report of it. */
export async function serveDeviceConfig(
  { bus, log, now }: DeviceServiceDeps,
  store: ProvisioningStore,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  for (const subscription of await serveConfigs({ bus, store, now })) stack.use(subscription);
  stack.use(await followLayers({ bus, store, now }));
  stack.use(await followKeys({ bus, store }));
  stack.use(await noticeConfigs({ bus }));
  for (const subscription of await serveGroups({ bus, store, now })) stack.use(subscription);
  for (const subscription of await followGroups({ bus, store, now })) stack.use(subscription);
  for (const subscription of await serveUpdates({ bus, store, now, log })) stack.use(subscription);
  stack.use(await listenReports({ bus, store, now, log }));
  stack.use(sweepUpdates({ store, now, log }));
  return stack.move();
}
