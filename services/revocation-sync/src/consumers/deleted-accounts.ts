import type { Subscription } from '@signet/bus';
import { followDeletions } from '@signet/service';
import type { Context } from '../context.ts';
import { removeSource } from '../domain/crl/sources.ts';

/**
 * A deleted account has no CRL sources any more. What its operators and its certificates have on the deny list stays;
 * what a source listed of its CAs goes with the source.
 */
export async function consumeDeletions(ctx: Context): Promise<Subscription[]> {
  const eraseSources = async (account: string): Promise<number> => {
    const { items } = await ctx.sources.find({ index: 'byAccount', equals: { account }, limit: 100 });
    for (const { name } of items) await removeSource(ctx, { account, name, by: 'platform' });
    return items.length;
  };
  return [await followDeletions(ctx.bus, 'revocation-sync', { erasures: [eraseSources] })];
}
