import { type Repetition, repeatedly } from '@signet/async';

import type { Context } from '../context.ts';
import { advanceCampaigns } from '../domain/campaigns/advance-campaigns.ts';
import { abandonExpiredRequests } from '../domain/requests/requests.ts';
import { removeOldReports } from '../domain/updates/reports.ts';

const REQUEST_WINDOWS_EVERY_MS = 30_000;
const OLD_REPORTS_EVERY_MS = 3_600_000;

/** What a clock sets off. What fails is reported and tried again at the next run. */
export function startJobs(ctx: Context): Repetition[] {
  const { log } = ctx;
  return [
    repeatedly(() => advanceCampaigns(ctx), {
      everyMs: ctx.campaignTickMs,
      onError: (error) => log.warn({ err: error }, 'campaigns: failed to advance; trying again'),
    }),
    repeatedly(() => abandonExpiredRequests(ctx), {
      everyMs: REQUEST_WINDOWS_EVERY_MS,
      onError: (error) =>
        log.warn({ err: error }, 'provisioning requests: failed to close expired ones; trying again'),
    }),
    repeatedly(() => removeOldReports(ctx), {
      everyMs: OLD_REPORTS_EVERY_MS,
      onError: (error) =>
        log.warn({ err: error }, 'update events: failed to remove old ones; trying again later'),
    }),
  ];
}
