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
  SIGNET_CRL_MAX_MEGABYTES: wholeNumber(128, 1, 1024).describe('Largest CRL of a CRL source that is read'),
  SIGNET_CRL_FETCH_SECONDS: wholeNumber(120, 1, 3600).describe(
    'How long the server of a CRL source may take for its whole answer',
  ),
});
export type RevocationSyncConfig = z.output<typeof revocationSyncConfig>;
