import { z } from 'zod';
import { Time } from '../identifiers.ts';

const by = z.string().describe('Who did it');

/** Accounts, which `admin-api` keeps. The subject is the account. */
export const adminApiEvents = {
  ACCOUNT_CREATED: z.object({ by }),
  /** Its operators read only; no claim, handoff or enrolment is made. Devices with a certificate go on. */
  ACCOUNT_SUSPENDED: z.object({
    reason: z.string().describe('Why'),
    devices: z.literal(true).optional().describe('Its live devices are cut off too; absent: they go on'),
    by,
  }),
  /** It is active again, its devices are admitted again, and it is not marked for deletion any more. */
  ACCOUNT_RESUMED: z.object({ by }),
  /** The first step of its deletion; it is suspended until the second, or until it is resumed. */
  ACCOUNT_DELETION_MARKED: z.object({
    deletableFrom: Time.describe('From when on it may be deleted'),
    by,
  }),
  /**
   * It is gone for good, and its slug is never given again. Each service removes what it has of the account; records of
   * what was issued, entries of the deny list, CRLs and OCSP stay.
   */
  ACCOUNT_DELETED: z.object({ by }),
} as const;
