import { Time } from '@signet/contracts';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/**
 * A CRL that the keeper of a root signed and uploaded. Its id ends with how many were uploaded before it, so that of two
 * uploads at once one is made after the other, and held against it.
 */
export const UploadedCrl = z.object({
  /** `<root>/<step in six digits>`. */
  id: z.string(),
  authorityId: z.string(),
  step: z.number().int().min(1),
  number: z.number().int().min(0),
  thisUpdate: Time,
  nextUpdate: Time,
  entries: z.number().int(),
  /** Base64. */
  der: z.string(),
  uploadedAt: Time,
  uploadedBy: z.string(),
});
export type UploadedCrl = z.infer<typeof UploadedCrl>;

export type UploadedCrls = Collection<UploadedCrl, never>;
export const uploadedCrls: CollectionSpec<UploadedCrl, never> = {
  name: 'est-ca.uploaded-crls',
  schema: UploadedCrl,
  indexes: {},
};

export function uploadedCrlId(authorityId: string, step: number): string {
  return `${authorityId}/${String(step).padStart(6, '0')}`;
}

/** The one that is served. */
export async function latestUpload(
  uploads: Pick<UploadedCrls, 'find'>,
  authorityId: string,
): Promise<UploadedCrl | undefined> {
  const { items } = await uploads.find({ prefix: `${authorityId}/`, descending: true, limit: 1 });
  return items[0];
}
