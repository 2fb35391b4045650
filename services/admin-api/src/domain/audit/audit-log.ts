import { Time } from '@signet/contracts';
import { type Collection, type CollectionSpec, StoreError } from '@signet/store';
import { z } from 'zod';

/** One call of the API: who, what, with which answer. The id is a UUIDv7: entries are in order of time. */
export const AuditEntry = z.object({
  id: z.uuidv7(),
  at: Time,
  /** The account in the path; `*` for what concerns no single one. */
  account: z.string(),
  /** Token id; absent where no valid token came. */
  tokenId: z.string().optional(),
  operator: z.string().optional(),
  method: z.string(),
  path: z.string(),
  /** Absent while a change is under way, and for good where the process died in it: how far it came is not known. */
  status: z.number().int().optional(),
  address: z.string(),
  /** What the path does not say and an auditor has to know. */
  note: z.string().max(512).optional(),
});
export type AuditEntry = z.infer<typeof AuditEntry>;

export const auditEntries = {
  name: 'admin-api.audit',
  schema: AuditEntry,
  indexes: { byAccount: { fields: ['account', 'id'] } },
} as const satisfies CollectionSpec<AuditEntry>;

type Audit = Pick<Collection<AuditEntry>, 'insert' | 'update'>;

/**
 * Writes an entry, or the outcome into the one that is there: in whatever order, and however often, both come. An
 * outcome that is written is never taken back.
 */
export async function putAudit(audit: Audit, entry: AuditEntry): Promise<void> {
  // of a change that has an outcome the intent is there, as a rule
  if (entry.status !== undefined && entry.method !== 'GET' && (await addOutcome(audit, entry))) return;
  try {
    await audit.insert(entry);
  } catch (error) {
    if (!isStoreError(error, 'duplicate')) throw error;
    if (entry.status !== undefined) await addOutcome(audit, entry);
  }
}

/** @returns whether there is such an entry */
async function addOutcome(audit: Audit, entry: AuditEntry): Promise<boolean> {
  try {
    await audit.update(entry.id, ({ status }) => (status === undefined ? { document: entry } : undefined));
    return true;
  } catch (error) {
    if (isStoreError(error, 'not-found')) return false;
    throw error;
  }
}

function isStoreError(error: unknown, code: StoreError['code']): boolean {
  return error instanceof StoreError && error.code === code;
}

const PAGE = 200;

/**
 * Removes audit entries from before a time (Unix ms), page by page, the oldest first: ids are UUIDv7. Replicas may do so
 * at once. @returns how many this call removed
 */
export async function purgeAudit(
  audit: Pick<Collection<AuditEntry>, 'find' | 'remove'>,
  before: number,
): Promise<number> {
  const time = before.toString(16).padStart(12, '0');
  const to = `${time.slice(0, 8)}-${time.slice(8)}`;
  for (let removed = 0; ; ) {
    const { items } = await audit.find({ to, limit: PAGE });
    if (items.length === 0) return removed;
    await Promise.all(items.map(({ id }) => audit.remove(id)));
    removed += items.length;
  }
}
