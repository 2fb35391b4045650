import { Account } from '@signet/contracts';
import { z } from 'zod';

export const inAccount = z.object({ account: Account });
export const nothing = z.object({});

/** Cursor paging in a query string: numbers come as text. */
export const paging = z.object({
  cursor: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});

/** Bytes, for routes that take more than most. */
export const MIB = 1024 * 1024;
