import type { Subscription } from '@signet/bus';
import { DENYLIST_DIGEST_SUBJECT } from '@signet/contracts';
import { parseDigest } from '@signet/denylist';
import type { Context } from '../context.ts';
import { handoverTypes } from '../domain/denial/intents-of-event.ts';
import { applyRevocation, endOwnersDenials, revocationConsumers } from '../domain/denylist/revocations.ts';
import { checkDigest } from '../domain/ledger/replication.ts';

/** Never given up: who denied a device that it has no more shuts out its next owner. */
const maxDeliveries = 1_000_000;

/** What changes the deny list: revocations, devices that change hands, and what other replicas of the authority did. */
export function consumeDenials(ctx: Context): Promise<Subscription[]> {
  const { bus, ledger, metrics } = ctx;
  const mismatches = metrics.counter<Record<string, never>>(
    'signet_denylist_authority_mismatches_total',
    'Times that two replicas of the deny list authority were found to differ',
  );
  return Promise.all([
    ...revocationConsumers.map((consumer) => bus.consume(consumer, (event) => applyRevocation(ctx, event))),
    bus.consume(
      { durable: 'revocation-sync-owners', types: handoverTypes, ordered: true, maxDeliveries },
      (event) => endOwnersDenials(ctx, event),
    ),
    bus.tail({ types: ['DENYLIST_CHANGED'], from: 'new' }, async (event) => {
      if (event.type === 'DENYLIST_CHANGED' && event.data.number > ledger.number) await ledger.catchUp();
    }),
    bus.listen(DENYLIST_DIGEST_SUBJECT, ({ payload }) => {
      const said = parseDigest(payload);
      if (said !== undefined && checkDigest(ctx, said)) mismatches.add({});
    }),
  ]);
}
