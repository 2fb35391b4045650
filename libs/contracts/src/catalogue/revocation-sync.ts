import { z } from 'zod';

/** What an entry of the deny list denies. */
export const DenyKind = z.enum(['certificate', 'key', 'device', 'fingerprint', 'ca']);
export type DenyKind = z.infer<typeof DenyKind>;

/** One entry of a change: the first 16 octets of the SHA-256 of what is denied, in hex, and when it may be purged. */
export const DenyEntry = z.object({
  key: z.string().regex(/^[0-9a-f]{32}$/),
  kind: DenyKind,
  reason: z.string(),
  /** Unix time in seconds after which the entry is purged; 0 for never. */
  expiresAt: z.number().int().min(0),
});
export type DenyEntry = z.infer<typeof DenyEntry>;

/** A numbered change of the deny list. Numbers start at 1 and have no gap. */
export const DenyChange = z.object({
  number: z.number().int().min(1),
  add: z.array(DenyEntry),
  /** Keys that are no longer denied. */
  lift: z.array(z.string().regex(/^[0-9a-f]{32}$/)),
});
export type DenyChange = z.infer<typeof DenyChange>;

export const revocationSyncEvents = { DENYLIST_CHANGED: DenyChange } as const;
