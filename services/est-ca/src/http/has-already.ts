import type { IncomingHttpHeaders } from 'node:http';

/**
 * Whether who asks has what would be sent (RFC 9110 §13.1): `If-None-Match` decides where it comes, `If-Modified-Since`
 * only without it. A date that cannot be read is none.
 */
export function hasAlready(
  headers: Pick<IncomingHttpHeaders, 'if-none-match' | 'if-modified-since'>,
  /** `tag` in quotes; `modifiedAt` in Unix ms. */
  held: { readonly tag: string; readonly modifiedAt?: number | undefined },
): boolean {
  const { 'if-none-match': tags, 'if-modified-since': since } = headers;
  if (tags !== undefined) {
    const known = tags.split(',').map((one) => one.trim().replace(/^W\//, ''));
    return known.includes('*') || known.includes(held.tag);
  }
  if (since === undefined || held.modifiedAt === undefined) return false;
  const asked = Date.parse(since);
  return !Number.isNaN(asked) && asked >= Math.floor(held.modifiedAt / 1000) * 1000;
}
