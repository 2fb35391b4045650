import { Time } from '@signet/contracts';
import type { CollectionSpec } from '@signet/store';
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
