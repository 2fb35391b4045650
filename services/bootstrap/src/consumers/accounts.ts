import type { Bus, Subscription } from '@signet/bus';
import { eraseByIndex, eraseFound, eraseOne, followDeletions } from '@signet/service';
import type { Context } from '../context.ts';
import { giveUpDevices } from '../domain/device/give-up-devices.ts';
import { redirectId } from '../domain/redirect/redirects.ts';

/**
 * A deleted account has no devices any more, and no hooks, rules, redirects, settings and registrations. The factory log
 * stays.
 */
export function eraseDeletedAccounts(bus: Pick<Bus, 'consume'>, ctx: Context): Promise<Subscription> {
  return followDeletions(bus, 'bootstrap', {
    states: ctx.accountStates,
    end: ({ account, data }) => giveUpDevices(ctx, { account, by: data.by }),
    erasures: [
      eraseOne(ctx.hooks),
      eraseByIndex(ctx.notifications, 'byAccount'),
      eraseByIndex(ctx.rules, 'byAccount'),
      (account) => eraseFound(ctx.redirects, { index: 'bySetter', equals: { setBy: account } }),
      async (account) => ((await ctx.redirects.remove(redirectId({ account }))) ? 1 : 0),
      eraseByIndex(ctx.certificates, 'byName'),
      eraseByIndex(ctx.registrations, 'byAccount'),
      eraseOne(ctx.accounts),
    ],
  });
}
