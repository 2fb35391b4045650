import type { Bus, Subscription } from '@signet/bus';
import type { Context } from '../context.ts';
import { recordAuthorityChange } from '../domain/claim/voided-authorities.ts';
import { advanceDevice } from '../domain/device/change-devices.ts';
import { recordNotification } from '../domain/hook/hooks.ts';
import { recordFirstSeen } from '../domain/lmp/register-again.ts';

/** Two hours at the longest backoff: for so long an event waits for the store before it is a dead letter. */
const maxDeliveries = 240;

/** Never given up: a CA that is voided stays so, however long the store is unavailable. */
const WITHOUT_END = 1_000_000;

/** What events set off: devices advance in their onboarding, hooks are notified, voided factory CAs are recorded. */
export function consumeEvents(bus: Bus, ctx: Context): Promise<Subscription[]> {
  return Promise.all([
    bus.consume(
      { durable: 'bootstrap-progress', types: ['CERT_ISSUED', 'DEVICE_CONNECTED'], maxDeliveries },
      (event) => advanceDevice(ctx, event),
    ),
    // a device that renews has its certificate
    bus.consume({ durable: 'bootstrap-renewals', types: ['CERT_RENEWED'], maxDeliveries }, (event) =>
      advanceDevice(ctx, event),
    ),
    // The change is its own guard against repetition: `advanceDevice` marks the same event as applied to the record.
    bus.consume(
      { durable: 'bootstrap-first-seen', types: ['DEVICE_CONNECTED', 'DEVICE_SEEN'], maxDeliveries },
      (event) => recordFirstSeen(ctx, event),
    ),
    bus.consume(
      { durable: 'bootstrap-hooks', types: ['DEVICE_BOOTSTRAPPED'], maxDeliveries },
      async (event) => {
        if (event.type === 'DEVICE_BOOTSTRAPPED') await recordNotification(ctx, event);
      },
    ),
    bus.consume(
      { durable: 'bootstrap-authorities', types: ['CA_CHANGED'], maxDeliveries: WITHOUT_END },
      async (event) => {
        if (event.type === 'CA_CHANGED') await recordAuthorityChange(ctx, event);
      },
    ),
  ]);
}
