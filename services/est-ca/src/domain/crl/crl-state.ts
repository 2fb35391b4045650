import { Time } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** A published CRL. Its list of entries lies in chunks; with head and tail around it they are its DER. */
export const CrlFile = z.object({
  number: z.number().int().min(1),
  thisUpdate: Time,
  nextUpdate: Time,
  entries: z.number().int(),
  /** Octets of its DER. */
  bytes: z.number().int(),
  /** Names its chunks. */
  token: z.string(),
  chunks: z.number().int(),
  /** Base64, as is `tail`. */
  head: z.string(),
  tail: z.string(),
});
export type CrlFile = z.infer<typeof CrlFile>;

/**
 * How far the CRLs of a scope have come. It is advanced by compare-and-set on `number`, and the next list is always
 * made from the entries of the one before it and what was revoked since: whatever a replica reads or does not, a higher
 * number never lists less, but for certificates that have ended or whose hold was lifted.
 */
export const CrlState = z.object({
  /** The scope's id. */
  id: z.string(),
  authorityId: z.string(),
  /** Of the CRL that was published last, complete or delta: they share one sequence (RFC 5280 §5.2.3). */
  number: z.number().int().min(1),
  /** Every revocation that the store held with a time before this one is listed. */
  coveredUpTo: Time,
  /** When the last complete CRL on schedule was made. */
  scheduledAt: Time,
  complete: CrlFile,
  /** What changed since the complete CRL `baseNumber`. */
  delta: CrlFile.extend({ baseNumber: z.number().int().min(1) }),
  /** Files that were published before; whoever is just reading them can finish. */
  replaced: z.array(z.object({ token: z.string(), chunks: z.number().int(), at: Time })),
});
export type CrlState = z.infer<typeof CrlState>;

export type CrlStates = Collection<CrlState, 'authority'>;
export const crlStates: CollectionSpec<CrlState, 'authority'> = {
  name: 'est-ca.crl-states',
  schema: CrlState,
  indexes: { authority: { fields: ['authorityId'] } },
};

/** A part of a CRL's list. Its id is `<scope>/<token>/<number of the part>`. */
export const CrlChunk = z.object({
  id: z.string(),
  /** DER of whole entries, base64. */
  der: z.string(),
  /** When the certificates of these entries end: 32-bit Unix seconds, little-endian, base64. */
  ends: z.string(),
  createdAt: Time,
});
export type CrlChunk = z.infer<typeof CrlChunk>;

export type CrlChunks = Collection<CrlChunk, never>;
export const crlChunks: CollectionSpec<CrlChunk, never> = {
  name: 'est-ca.crl-chunks',
  schema: CrlChunk,
  indexes: {},
};
