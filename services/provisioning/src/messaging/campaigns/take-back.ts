import { withdrawRenewal } from '@signet/contracts';
import type { CampaignRecord } from '../../domain/campaigns/campaign.ts';
import { ORDER_FILE } from '../../domain/campaigns/order.ts';
import { deviceMoved, over } from '../../domain/campaigns/steps.ts';
import { changeOwn } from '../../domain/config/device-config.ts';
import { cancelled } from '../../domain/rotation/end-rotation.ts';
import { keyRingId } from '../../domain/rotation/key-ring.ts';
import type { ConfigStore } from '../config/collections.ts';
import { allOf } from '../pages.ts';
import type { EngineDeps } from './engine-deps.ts';

/** Devices that did not begin are let be; those with a next key finish by themselves. */
export async function takeBack({ bus, store, now }: EngineDeps, campaign: CampaignRecord): Promise<void> {
  const { campaignId, rotationId, reason = 'cancelled' } = campaign;
  for (const state of ['WAITING', 'ORDERED'] as const)
    for await (const device of allOf(store.campaignDevices, {
      index: 'byState',
      equals: { campaignId, state },
    })) {
      const { account, deviceId } = device;
      const id = keyRingId(account, deviceId);
      const { next } = await store.rings.update(id, (ring) =>
        ring.ordered?.rotationId === rotationId && ring.next === undefined
          ? cancelled(ring, { by: 'provisioning', now: now(), revoke: false })
          : undefined,
      );
      if (state === 'ORDERED' && next !== undefined) continue;
      if (state === 'ORDERED') {
        await bus.request(withdrawRenewal, { account, deviceId, rotationId });
        await withdraw(store, id, rotationId, now());
      }
      await store.campaignDevices.update(device.id, (current) =>
        deviceMoved(current, { to: 'WITHDRAWN', reason, now: now() }),
      );
    }
  await store.campaigns.update(campaign.id, over);
}

async function withdraw(
  { configs }: ConfigStore,
  id: string,
  rotationId: string,
  now: number,
): Promise<void> {
  if ((await configs.get(id)) === undefined) return;
  await configs.update(id, (config) => {
    const held = config.files.find(({ name }) => name === ORDER_FILE);
    if (held?.value.includes(`ROTATIONID=${rotationId}\n`) !== true) return undefined;
    return changeOwn(config, {
      remove: [ORDER_FILE],
      ...{ by: 'provisioning', reason: `rotation ${rotationId} cancelled`, now },
    });
  });
}
