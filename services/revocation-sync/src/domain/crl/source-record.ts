import { Account, CrlPart, CrlSource, CrlSourceName, Pem, Time, WhenStale } from '@signet/contracts';
import type { Collection } from '@signet/store';
import { z } from 'zod';

/** A CRL of a source as it was accepted last, and how the last one that came was judged. */
export const PartRecord = CrlPart.extend({
  /** Of the newest complete one, decimal; absent where it had none. */
  completeNumber: z.string().optional(),
  completeThisUpdate: Time.optional(),
  /** Distribution point that it names: another CRL of this part must name the same. */
  scope: z.string().optional(),
  etag: z.string().optional(),
  lastModified: z.string().optional(),
  /** Where its delta is. */
  deltaUrl: z.string().optional(),
  /** Set of what is listed, as it is kept. */
  generation: z.string().optional(),
  /** Sets that were being put in the place of that one; all that is denied is in one of them. */
  pending: z.array(z.string()).optional(),
});
export type PartRecord = z.infer<typeof PartRecord>;

/** What of a part changes; `undefined` takes a field away. */
export type PartChange = { readonly [K in keyof PartRecord]?: PartRecord[K] | undefined };

/** A CRL source: its id is `<account>.<name>`. */
export const SourceRecord = z.object({
  id: z.string(),
  account: Account,
  name: CrlSourceName,
  issuer: Pem,
  urls: z.array(z.string()),
  everySeconds: z.number().int(),
  whenStale: WhenStale,
  createdAt: Time,
  createdBy: z.string(),
  issuerKeyId: CrlSource.shape.issuerKeyId,
  issuerName: z.string(),
  /** Unix ms; absent where there is nothing to ask for. */
  dueAt: z.number().optional(),
  /** Failures in a row. */
  failures: z.number().int(),
  staleSince: Time.optional(),
  /** Unix ms until which one replica works on it. */
  leasedUntil: z.number(),
  lease: z.string().optional(),
  parts: z.array(PartRecord),
});
export type SourceRecord = z.infer<typeof SourceRecord>;

export type Sources = Collection<SourceRecord, 'byAccount' | 'byDue'>;

export function sourceId(account: string, name: string): string {
  return `${account}.${name}`;
}

/** The record as operators see it. */
export function sourceView(record: SourceRecord): CrlSource {
  const { id: _, dueAt, failures: _f, leasedUntil: _l, lease: _o, parts, ...view } = record;
  return {
    ...view,
    ...(dueAt === undefined ? {} : { nextFetchAt: new Date(dueAt).toISOString() }),
    parts: parts.map((part) => CrlPart.parse(part)),
  };
}

/** Under what a part of a CRL source denies: what leaves its CRL is lifted under the same. */
export function crlCause(sourceId: string, part: string): string {
  return `CRL ${sourceId} ${part}`;
}

/** The source that a hold is of; undefined where it is of none. */
export function sourceOfCause(cause: string): string | undefined {
  return /^CRL ([a-z0-9-]+\.[a-z0-9-]+) ./.exec(cause)?.[1];
}
