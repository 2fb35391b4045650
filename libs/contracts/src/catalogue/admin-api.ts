import { z } from 'zod';

const by = z.string().describe('Who did it');

/** Accounts, which `admin-api` keeps. The subject is the account. */
export const adminApiEvents = {
  ACCOUNT_CREATED: z.object({ by }),
  /** Its operators read only; nothing is claimed, handed over or enrolled. Devices with a certificate go on. */
  ACCOUNT_SUSPENDED: z.object({ reason: z.string().describe('Why'), by }),
  ACCOUNT_RESUMED: z.object({ by }),
} as const;
