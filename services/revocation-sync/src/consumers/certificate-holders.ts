import type { Subscription } from '@signet/bus';
import type { Context } from '../context.ts';
import { deniedCertificate, learnHolder } from '../domain/crl/certificate-holders.ts';

/** Two hours at the longest backoff: for so long an event waits for the store before it becomes a dead letter. */
const maxDeliveries = 240;

/** Contacts and refusals say who holds the certificates of CAs whose key is kept elsewhere. */
export function consumeContacts(ctx: Context): Promise<Subscription[]> {
  const { bus } = ctx;
  return Promise.all([
    bus.consume(
      { durable: 'revocation-sync-contacts', types: ['DEVICE_CONNECTED'], maxDeliveries },
      async ({ account, type, data }) => {
        if (type === 'DEVICE_CONNECTED') await learnHolder(ctx, { ...data, account });
      },
    ),
    bus.consume(
      {
        durable: 'revocation-sync-refusals',
        types: ['DEVICE_REFUSED', 'ENROLLMENT_REFUSED', 'BOOTSTRAP_REFUSED'],
        maxDeliveries,
      },
      async (event) => {
        const shown = deniedCertificate(event);
        if (shown !== undefined) await learnHolder(ctx, shown);
      },
    ),
  ]);
}
