import type { Bus, Subscription } from '@signet/bus';
import { OperationError, revokeCertificates } from '@signet/contracts';

/** Two hours at the longest backoff: for so long a certificate waits for est-ca to be revoked. */
const maxDeliveries = 240;

/** The certificate of an announced key that was dropped is revoked: broker and EST refuse it as the gateway does (F38). */
export function revokeDropped(bus: Bus): Promise<Subscription> {
  return bus.consume(
    { durable: 'provisioning-dropped', types: ['DEVICE_ROTATION_CANCELLED'], maxDeliveries },
    async (event) => {
      if (event.type !== 'DEVICE_ROTATION_CANCELLED' || event.data.keyKept === true) return;
      const { account, data } = event;
      const { deviceId, serialNumber } = data;
      try {
        await bus.request(revokeCertificates, {
          ...{ account, deviceId, serialNumber, reason: 'superseded', by: 'provisioning' },
        });
      } catch (error) {
        // it was never issued: nothing can come with it
        if (!(error instanceof OperationError) || error.code !== 'unknown-certificate') throw error;
      }
    },
  );
}
