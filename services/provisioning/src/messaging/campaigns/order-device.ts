import { orderRenewal } from '@signet/contracts';
import type { CampaignDevice, CampaignRecord } from '../../domain/campaigns/campaign.ts';
import { ORDER_FILE, orderFile } from '../../domain/campaigns/order.ts';
import { deviceMoved, orderWritten } from '../../domain/campaigns/steps.ts';
import { changeOwn } from '../../domain/config/device-config.ts';
import { keyRingId } from '../../domain/rotation/key-ring.ts';
import { ordered } from '../../domain/rotation/progress.ts';
import { changeConfig } from '../config/collections.ts';
import type { EngineDeps } from './engine-deps.ts';

/** A device is marked before its order is written: one that was lost between the two is written at the next look. */
export async function order(
  deps: EngineDeps,
  campaign: CampaignRecord,
  device: CampaignDevice,
): Promise<void> {
  const { campaignDevices } = deps.store;
  const now = deps.now();
  let isMine = false;
  await campaignDevices.update(device.id, (current) => {
    const change = deviceMoved(current, { to: 'ORDERED', now });
    isMine = change !== undefined;
    return change;
  });
  if (isMine) await writeOrder(deps, campaign, device);
}

/**
 * The order stands with `est-ca`, which lets the device renew outside its window and without another approval, and in the
 * key ring before it is in the config: a device that is quick is known to be ordered.
 */
export async function writeOrder(
  { bus, store, estUrl, now }: EngineDeps,
  { rotationId, deadlineHours, createdBy: by }: CampaignRecord,
  { id, account, deviceId }: CampaignDevice,
): Promise<void> {
  const expiresAt = new Date(now() + deadlineHours * 3_600_000).toISOString();
  await bus.request(orderRenewal, { account, deviceId, rotationId, expiresAt, by });
  const ring = await store.rings.update(keyRingId(account, deviceId), (current) =>
    current.next === undefined ? ordered(current, rotationId, now()) : undefined,
  );
  // one that rotates of itself is under way already
  if (ring.next === undefined) {
    const file = orderFile({ rotationId, estUrl });
    const change = { set: [file], by: 'provisioning', reason: `rotation ${rotationId}`, now: now() };
    await changeConfig(store, { account, deviceId }, (config) =>
      config.files.some(({ name, value }) => name === ORDER_FILE && value === file.value)
        ? undefined
        : changeOwn(config, change),
    );
  }
  await store.campaignDevices.update(id, orderWritten);
}
