import { type ConfigFile, orderRenewal, withdrawRenewal } from '@signet/contracts';
import { all } from '@signet/store';
import { changeConfig } from '../config/change-config.ts';
import { changeOwn, type DeviceConfigs } from '../config/device-config.ts';
import type { LayerStore } from '../config/readers.ts';
import { type Asks, idOf } from '../devices/known-devices.ts';
import { iso } from '../documents/documents.ts';
import { endRotation } from '../keys/end-rotation.ts';
import type { KeyRings } from '../keys/key-ring.ts';
import { orderRotation } from '../keys/rotation-progress.ts';
import type { CampaignDevice, CampaignDevices, CampaignRecord, Campaigns } from './campaign.ts';
import { finishWithdrawal, markOrderWritten, moveDevice } from './steps.ts';

export type OrderContext = Asks &
  LayerStore & {
    readonly rings: KeyRings;
    readonly campaigns: Campaigns;
    readonly campaignDevices: CampaignDevices;
    /** Base URL of the EST service, as devices reach it. */
    readonly estUrl: string;
    readonly now: () => number;
  };

/** The config file by which a device is told to rotate (device-gateway.md). */
const ORDER_FILE = 'fio-rotate-certs';

/** What clients of the device gateway run when that file changes. */
const HANDLER = '/usr/share/fioconfig/handlers/renew-client-cert';

/** The order to rotate. Key and certificate ids are those of the two places that clients with an HSM change between. */
function orderFile(facts: { readonly rotationId: string; readonly estUrl: string }): ConfigFile {
  const lines = [
    `ESTSERVER=${facts.estUrl}/.well-known/est`,
    `ROTATIONID=${facts.rotationId}`,
    'PKEYIDS=01,07',
    'CERTIDS=03,09',
  ];
  return { name: ORDER_FILE, value: `${lines.join('\n')}\n`, unencrypted: true, 'on-changed': [HANDLER] };
}

/**
 * Orders one device to rotate. It is marked before its order is written, so one replica orders it; an order that was lost
 * between the two is written at the next look.
 */
export async function orderDevice(
  ctx: OrderContext,
  campaign: CampaignRecord,
  device: CampaignDevice,
): Promise<void> {
  const now = ctx.now();
  let isMine = false;
  await ctx.campaignDevices.update(device.id, (current) => {
    const change = moveDevice(current, { to: 'ORDERED', now });
    isMine = change !== undefined;
    return change;
  });
  if (isMine) await writeOrder(ctx, campaign, device);
}

/**
 * 1. `est-ca` lets the device renew outside its window and without another approval. 2. The key ring knows of the order
 * before the config has it: a device that is quick is known to be ordered. 3. The config tells the device.
 */
export async function writeOrder(
  ctx: OrderContext,
  { rotationId, deadlineHours, createdBy: by }: CampaignRecord,
  { id, account, deviceId }: CampaignDevice,
): Promise<void> {
  const { bus, rings, estUrl, now } = ctx;
  const expiresAt = iso(now() + deadlineHours * 3_600_000);
  await bus.request(orderRenewal, { account, deviceId, rotationId, expiresAt, by });
  const ring = await rings.update(idOf({ account, deviceId }), (current) =>
    current.next === undefined ? orderRotation(current, rotationId, now()) : undefined,
  );
  // a device that rotates of itself needs no order
  if (ring.next === undefined) {
    const file = orderFile({ rotationId, estUrl });
    const change = { set: [file], by: 'provisioning', reason: `rotation ${rotationId}`, now: now() };
    await changeConfig(ctx, { account, deviceId }, (config) =>
      config.files.some(({ name, value }) => name === ORDER_FILE && value === file.value)
        ? undefined
        : changeOwn(config, change),
    );
  }
  await ctx.campaignDevices.update(id, markOrderWritten);
}

/** Withdraws the orders of a cancelled campaign. Devices not yet started are skipped; those with a next key finish. */
export async function withdrawOrders(ctx: OrderContext, campaign: CampaignRecord): Promise<void> {
  const { bus, rings, configs, campaignDevices, now } = ctx;
  const { campaignId, rotationId, reason = 'cancelled' } = campaign;
  for (const state of ['WAITING', 'ORDERED'] as const) {
    const query = { index: 'byState', equals: { campaignId, state } } as const;
    for await (const device of all(campaignDevices, query)) {
      const { account, deviceId } = device;
      const id = idOf({ account, deviceId });
      const { next } = await rings.update(id, (ring) =>
        ring.ordered?.rotationId === rotationId && ring.next === undefined
          ? endRotation(ring, { by: 'provisioning', now: now(), revoke: false })
          : undefined,
      );
      if (state === 'ORDERED' && next !== undefined) continue;
      if (state === 'ORDERED') {
        await bus.request(withdrawRenewal, { account, deviceId, rotationId });
        await removeOrderFile(configs, { id, rotationId, now: now() });
      }
      await campaignDevices.update(device.id, (current) =>
        moveDevice(current, { to: 'WITHDRAWN', reason, now: now() }),
      );
    }
  }
  await ctx.campaigns.update(campaign.id, finishWithdrawal);
}

async function removeOrderFile(
  configs: DeviceConfigs,
  { id, rotationId, now }: { readonly id: string; readonly rotationId: string; readonly now: number },
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
