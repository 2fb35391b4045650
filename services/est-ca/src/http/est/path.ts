const PREFIX = '/.well-known/est/';

/** What a request asks for: an operation, below a label if one is given (RFC 7030 §3.2.2). */
export type EstPath = { readonly label: string | undefined; readonly operation: string };

/** The parts of `/.well-known/est/[<label>/]<operation>`, or undefined where it is none. A query is passed over. */
export function parseEstPath(url: string): EstPath | undefined {
  const path = url.split('?', 1)[0] ?? '';
  if (!path.startsWith(PREFIX)) return undefined;
  const segments = path.slice(PREFIX.length).split('/');
  if (segments.some((segment) => !/^[A-Za-z0-9._-]+$/.test(segment))) return undefined;
  const [first = '', second, ...rest] = segments;
  if (rest.length > 0) return undefined;
  return second === undefined ? { label: undefined, operation: first } : { label: first, operation: second };
}
