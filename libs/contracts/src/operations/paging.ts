import { z } from 'zod';

/** Cursor paging: `cursor` is opaque, absent on the first page; `next` is absent on the last. */
export const PageRequest = z.object({
  cursor: z.string().optional(),
  limit: z.number().int().min(1).max(1000).default(100),
});

export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next: z.string().optional() });
