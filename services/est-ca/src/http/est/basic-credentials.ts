/** User name and password of HTTP Basic (RFC 7617). */
export type BasicCredentials = { readonly username: string; readonly password: string };

/** The credentials of an `Authorization` header; undefined where it has none of this scheme, or none that can be read. */
export function parseBasicCredentials(header: string | undefined): BasicCredentials | undefined {
  const match = /^Basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(header ?? '');
  if (match === null) return undefined;
  const text = Buffer.from(match[1] ?? '', 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}
