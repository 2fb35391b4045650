import type { Collection } from '@signet/store';
import type { AuditEntry } from './audit-entry.ts';

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
