import type { Bus, Subscription } from '@signet/bus';
import { deviceMoved } from '../../domain/campaigns/steps.ts';
import { allOf } from '../pages.ts';
import type { CampaignStore } from './collections.ts';

type Deps = { readonly bus: Bus; readonly store: CampaignStore; readonly now: () => number };

/** Two hours at the longest backoff: for so long an event waits for the store before it is a dead letter. */
const maxDeliveries = 240;

/**
 * What became of ordered devices. A first contact with the new key counts, whatever the device said before; its own word
 * of a failure counts until then.
 */
export function followRotations({ bus, store, now }: Deps): Promise<Subscription> {
  return bus.consume(
    {
      durable: 'provisioning-campaigns',
      types: ['DEVICE_ROTATION_COMPLETED', 'DEVICE_ROTATION_STEP', 'DEVICE_ROTATION_CANCELLED'],
      maxDeliveries,
    },
    async (event) => {
      const { account, subject: deviceId, time, type, data } = event;
      const outcome = outcomeOf(type, data);
      if (outcome === undefined) return;
      const devices = store.campaignDevices;
      for await (const device of allOf(devices, { index: 'byDevice', equals: { account, deviceId } })) {
        if (device.orderedAt === undefined || time < device.orderedAt) continue;
        await devices.update(device.id, (current) => deviceMoved(current, { ...outcome, now: now() }));
      }
    },
  );
}

function outcomeOf(
  type: string,
  data: object,
): { to: 'DONE' } | { to: 'FAILED'; reason: string } | undefined {
  if (type === 'DEVICE_ROTATION_COMPLETED') return { to: 'DONE' };
  if (type === 'DEVICE_ROTATION_CANCELLED')
    return 'reason' in data && data.reason === 'cancelled'
      ? { to: 'FAILED', reason: 'its rotation was cancelled' }
      : undefined;
  if (!('success' in data) || data.success !== false) return undefined;
  const step = 'step' in data ? String(data.step) : 'a step';
  const details = 'details' in data && data.details !== undefined ? `: ${String(data.details)}` : '';
  return { to: 'FAILED', reason: `${step} failed${details}` };
}
