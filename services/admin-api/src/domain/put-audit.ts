import { type Collection, StoreError } from '@signet/store';
import type { AuditEntry } from './audit-entry.ts';

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
