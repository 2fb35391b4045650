import type { DeviceServiceDeps } from '@signet/service';
import type { ProvisioningConfig } from '../config.ts';
import { runCampaigns } from '../messaging/campaigns/engine.ts';
import { followRotations } from '../messaging/campaigns/follow.ts';
import { serveCampaigns } from '../messaging/campaigns/operators.ts';
import type { ProvisioningStore } from '../messaging/collections.ts';
import { serveRotations } from '../messaging/rotation/operators.ts';
import { revokeDropped } from '../messaging/rotation/revoke-dropped.ts';

/** Rotations as operators see them, and campaigns of rotations. */
export async function serveRotationsAndCampaigns(
  config: ProvisioningConfig,
  { bus, log, now }: DeviceServiceDeps,
  store: ProvisioningStore,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const stalledMs = config.SIGNET_ROTATION_STALLED_HOURS * 3_600_000;
  for (const subscription of await serveRotations({ bus, rings: store.rings, now, stalledMs }))
    stack.use(subscription);
  stack.use(await revokeDropped(bus));
  for (const subscription of await serveCampaigns({ bus, store, now })) stack.use(subscription);
  stack.use(await followRotations({ bus, store, now }));
  const tickMs = config.SIGNET_CAMPAIGN_TICK_MS;
  stack.use(runCampaigns({ bus, store, now, log, tickMs, estUrl: config.SIGNET_EST_URL }));
  return stack.move();
}
