const PREFIX = '/.well-known/est/';

/** What a request asks for: an operation, below a label if one is given (RFC 7030 §3.2.2), and what it is about. */
export type EstPath = {
  readonly label: string | undefined;
  readonly operation: string;
  /** `renewal-info` only. */
  readonly subject?: string;
};

/** The parts of `/.well-known/est/[<label>/]<operation>`, or undefined where it is none. A query is passed over. */
export function parseEstPath(url: string): EstPath | undefined {
  const path = url.split('?', 1)[0] ?? '';
  if (!path.startsWith(PREFIX)) return undefined;
  const segments = path.slice(PREFIX.length).split('/');
  if (segments.some((segment) => !/^[A-Za-z0-9._-]+$/.test(segment))) return undefined;
  const about = segments.indexOf('renewal-info');
  const subject = about >= 0 && about === segments.length - 2 ? segments.pop() : undefined;
  const [first = '', second, ...rest] = segments;
  if (rest.length > 0) return undefined;
  if (subject !== undefined)
    return { label: about === 0 ? undefined : first, operation: 'renewal-info', subject };
  return second === undefined ? { label: undefined, operation: first } : { label: first, operation: second };
}
