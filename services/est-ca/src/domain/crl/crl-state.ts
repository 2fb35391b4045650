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
 * One step in the line of CRLs of a scope. Its id ends with its number, so that of all replicas one inserts it, on
 * whatever store; and it is always made from the entries of the step before it and what was revoked since: whatever a
 * replica reads or does not, a higher number never lists less, but for certificates that have ended or whose hold was
 * lifted.
 */
export const CrlState = z.object({
  /** `<scope>/<number in twelve digits>`. */
  id: z.string(),
  scopeId: z.string(),
  authorityId: z.string(),
  /** Of the CRL that was published last, complete or delta: they share one sequence (RFC 5280 §5.2.3). */
  number: z.number().int().min(1),
  /**
   * Where the next look for what is new begins, less an overlap: it spares reading all records, and nothing rests on it.
   * Clocks made it and the times of revocations; what it passes by is brought by its event, and by the comparison.
   */
  coveredUpTo: Time,
  /** When the list was last held against every record, and found whole. Absent: never. */
  comparedAt: Time.optional(),
  /** When the last complete CRL on schedule was made. */
  scheduledAt: Time,
  publishedAt: Time,
  complete: CrlFile,
  /** What changed since the complete CRL `baseNumber`. */
  delta: CrlFile.extend({ baseNumber: z.number().int().min(1) }),
});
export type CrlState = z.infer<typeof CrlState>;

export type CrlStates = Collection<CrlState, never>;
export const crlStates: CollectionSpec<CrlState, never> = {
  name: 'est-ca.crl-states',
  schema: CrlState,
  indexes: {},
};

export function crlStateId(scopeId: string, number: number): string {
  return `${scopeId}/${String(number).padStart(12, '0')}`;
}

/** The step that is in force. */
export async function latestState(
  states: Pick<CrlStates, 'find'>,
  scopeId: string,
): Promise<CrlState | undefined> {
  const { items } = await states.find({ prefix: `${scopeId}/`, descending: true, limit: 1 });
  return items[0];
}

/** Ids of the scopes of a CA that ever had a CRL. Ids of CAs hold none of `.`, `/` and what lies between. */
export async function knownScopes(
  states: Pick<CrlStates, 'find'>,
  authorityId: string,
): Promise<readonly string[]> {
  const scopeIds: string[] = [];
  for (let from = `${authorityId}.`; ; ) {
    const { items } = await states.find({ from, to: `${authorityId}0`, limit: 1 });
    const [first] = items;
    if (first === undefined) return scopeIds;
    scopeIds.push(first.scopeId);
    from = `${first.scopeId}0`;
  }
}

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
