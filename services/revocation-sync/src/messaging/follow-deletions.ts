import type { Bus, Subscription } from '@signet/bus';
import { followDeletions } from '@signet/service';
import type { Sources } from '../domain/crl/source-record.ts';

/**
 * A deleted account has no CRL sources any more. What its operators and its certificates have on the deny list stays;
 * what a source listed of its CAs goes with the source.
 */
export function eraseDeletedAccounts(
  bus: Pick<Bus, 'consume'>,
  sources: Pick<Sources, 'find'>,
  remove: (id: string) => Promise<unknown>,
): Promise<Subscription> {
  return followDeletions(bus, 'revocation-sync', {
    erasures: [
      async (account) => {
        const { items } = await sources.find({ index: 'byAccount', equals: { account }, limit: 100 });
        for (const { id } of items) await remove(id);
        return items.length;
      },
    ],
  });
}
