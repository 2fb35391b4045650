import { isDeepStrictEqual } from 'node:util';

/** For `update` and `remove`: whether a document is what was read of it before, and decided on. */
export function unchanged(read: unknown): (current: unknown) => boolean {
  return (current) => isDeepStrictEqual(current, read);
}
