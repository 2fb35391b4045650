import { isIndexValue } from './index-key.ts';
import type { CollectionSpec, Stored } from './store.ts';
import { StoreError } from './store-error.ts';

const MAX_ID_LENGTH = 512;

/** The document as its schema reads it. @throws StoreError `invalid-document`, naming the field */
export function validate<T extends Stored, I extends string>(spec: CollectionSpec<T, I>, document: T): T {
  const invalid = (field: string, reason: string, cause?: unknown) =>
    new StoreError('invalid-document', `${spec.name}: ${field}: ${reason}`, { cause });

  const parsed = spec.schema.safeParse(document);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(issue?.path.join('.') || 'document', issue?.message ?? 'invalid', parsed.error);
  }
  const { id } = parsed.data;
  if (typeof id !== 'string' || id.length < 1 || id.length > MAX_ID_LENGTH || !id.isWellFormed()) {
    throw invalid('id', `must be well-formed text of 1 to ${MAX_ID_LENGTH} characters`);
  }
  for (const { fields } of Object.values<CollectionSpec<T, I>['indexes'][I]>(spec.indexes)) {
    for (const field of fields) {
      const value: unknown = parsed.data[field];
      if (value !== undefined && !isIndexValue(value)) {
        throw invalid(field, 'must be well-formed text, a finite number or a boolean to be indexed');
      }
    }
  }
  return parsed.data;
}
