import { commonConfig, wholeNumber } from '@signet/service';
import type { z } from 'zod';

/** Configuration of the revocation service. */
export const revocationSyncConfig = commonConfig.extend({
  SIGNET_DENYLIST_KEEP_SECONDS: wholeNumber(86_400, 0, 10 * 366 * 86_400).describe(
    'How long a denial is kept beyond the notAfter of what it denies; to be no less than the longest time for which an expired certificate may renew, and a day',
  ),
  SIGNET_DENYLIST_LOG_DAYS: wholeNumber(14, 1, 3660).describe(
    'How long changes of the deny list are kept; a replica that was away for longer loads the whole list',
  ),
});
export type RevocationSyncConfig = z.output<typeof revocationSyncConfig>;
