import { z } from 'zod';
import { Time } from '../identifiers.ts';

/** What an entry of the deny list denies. */
export const DenyKind = z
  .enum(['certificate', 'key', 'device', 'fingerprint', 'ca', 'account'])
  .describe('What the entry denies');
export type DenyKind = z.infer<typeof DenyKind>;

/** One entry of a change: the first 16 bytes of the SHA-256 of what is denied, in hex, and when it may be purged. */
export const DenyEntry = z.object({
  key: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .describe('First 16 bytes of the SHA-256 of what is denied, hex'),
  kind: DenyKind,
  reason: z.string().describe('Why'),
  expiresAt: z
    .number()
    .int()
    .min(0)
    .describe('Unix time in seconds after which the entry is purged; 0 for never'),
});
export type DenyEntry = z.infer<typeof DenyEntry>;

/** A numbered change of the deny list. Numbers start at 1 and have no gap. */
export const DenyChange = z.object({
  number: z.number().int().min(1).describe('Number of the change; numbers have no gap'),
  add: z.array(DenyEntry).describe('Entries that are denied from now on'),
  lift: z.array(z.string().regex(/^[0-9a-f]{32}$/)).describe('Keys of entries that are no longer denied'),
  since: Time.optional().describe('When the earliest of what it denies was asked for, or happened'),
});
export type DenyChange = z.infer<typeof DenyChange>;

const crlSource = z.object({
  source: z.string().describe('Name of the CRL source'),
  part: z.string().describe('URL of the CRL, or `upload` with the distribution point that it names'),
});

export const revocationSyncEvents = {
  DENYLIST_CHANGED: DenyChange,
  CRL_SOURCE_CHANGED: crlSource.extend({
    number: z.string().optional().describe('Number of the CRL, decimal; absent where it has none'),
    entries: z.number().int().describe('Certificates that are listed now'),
    listed: z.number().int().describe('Certificates that were not listed before'),
    unlisted: z.number().int().describe('Certificates that are not listed any more'),
  }),
  CRL_SOURCE_REFUSED: crlSource.extend({
    code: z.string().describe('Why its CRL is not accepted; said once until that changes'),
    message: z.string().describe('The same, for people'),
  }),
  CRL_SOURCE_STALE: z.object({
    source: z.string().describe('Name of the CRL source'),
    whenStale: z.enum(['alarm', 'refuse-new', 'go-on']).describe('What is done about it'),
  }),
  CRL_SOURCE_FRESH: z.object({ source: z.string().describe('Name of the CRL source, stale until now') }),
} as const;
