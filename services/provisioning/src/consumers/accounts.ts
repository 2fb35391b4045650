import type { Subscription } from '@signet/bus';
import { eraseById, eraseByIndex, eraseOne, followDeletions } from '@signet/service';
import type { Context } from '../context.ts';

/** Removes what this service has of a deleted account: configs, groups, labels, keys, campaigns, requests, reports. */
export function eraseDeletedAccounts(ctx: Context): Promise<Subscription> {
  return followDeletions(ctx.bus, 'provisioning', {
    erasures: [
      // campaigns first: what they order is of no use any more
      eraseByIndex(ctx.campaigns, 'byAccount'),
      eraseByIndex(ctx.campaignDevices, 'byDevice'),
      eraseByIndex(ctx.requests, 'byDevice'),
      eraseByIndex(ctx.credentials, 'byAccount'),
      eraseByIndex(ctx.configs, 'byAccount'),
      eraseOne(ctx.layers),
      eraseById(ctx.layers),
      eraseByIndex(ctx.groups, 'byAccount'),
      eraseByIndex(ctx.members, 'byGroup'),
      eraseByIndex(ctx.labels, 'byAccount'),
      eraseByIndex(ctx.rings, 'byAccount'),
      eraseByIndex(ctx.events, 'byUpdate'),
      eraseByIndex(ctx.updates, 'byDevice'),
    ],
  });
}
