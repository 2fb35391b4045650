import { isIP } from 'node:net';
import { z } from 'zod';

/** A host as it stands in a URL: an IPv6 address in brackets. */
const hostInUrl = (host: string): string => (isIP(host) === 6 ? `[${host}]` : host);

/** The URL, without a path and without a slash at its end, of what listens on this port of a host. */
export function originOf(scheme: string, host: string, port: number): string {
  return `${scheme}://${hostInUrl(host)}:${port}`;
}

/** The host by which this process is reached, of its names: the first that is no wildcard. */
export function publicHost(names: readonly string[]): string {
  return names.find((name) => !name.startsWith('*')) ?? 'localhost';
}

/** A path below a public URL: `path` begins with a slash. */
export function below(base: string, path: string): string {
  return `${base.replace(/\/+$/, '')}${path}`;
}

/**
 * A URL that goes to others (devices, certificates, bundles): of one of these schemes, absolute, and nothing in it that
 * a path cannot be put behind. Slashes at its end are dropped. `path`: whether it may have one; where clients put a path
 * of their own directly behind the host, it may not.
 */
export function publicUrl({
  schemes,
  path = false,
}: {
  readonly schemes: readonly string[];
  readonly path?: boolean;
}) {
  return z.string().transform((text, context) => {
    const problem = problemOf(text, schemes, path);
    if (problem === undefined) return text.replace(/\/+$/, '');
    context.addIssue({ code: 'custom', message: problem });
    return z.NEVER;
  });
}

function problemOf(text: string, schemes: readonly string[], mayHavePath: boolean): string | undefined {
  const wanted = `must be a URL such as ${schemes[0]}://signet.example:8443`;
  if (/\s/.test(text) || !text.includes('://') || !URL.canParse(text)) return wanted;
  const { protocol, hostname, port, pathname, search, hash, username, password } = new URL(text);
  if (!schemes.includes(protocol.slice(0, -1)))
    return `must begin with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`;
  if (hostname === '' || hostname.includes('*')) return `${wanted}: it names no host`;
  if (port === '0') return 'must name a port that can be reached, not 0';
  if (username !== '' || password !== '') return 'must carry no user and password: it goes to everybody';
  if (search !== '' || hash !== '') return 'must have neither "?" nor "#"';
  if (!mayHavePath && /[^/]/.test(pathname))
    return 'must have no path: clients put their own behind the host';
  return undefined;
}

/** DNS names (a `*` may be the first label) and IP addresses; IPv6 with or without brackets, in any form. */
export const serverNames = (byDefault: string) =>
  z
    .string()
    .default(byDefault)
    .transform((text, context) => {
      const items = text.split(',').flatMap((item) => (item.trim() === '' ? [] : [item.trim()]));
      const names = items.map(canonicalName);
      const wrong = items.filter((_, i) => names[i] === undefined);
      const message =
        wrong.length > 0
          ? `must be DNS names and IP addresses: ${wrong.map((item) => `"${item}"`).join(', ')} is neither`
          : items.length === 0
            ? 'must name at least one DNS name or IP address'
            : undefined;
      if (message === undefined) return [...new Set(names.filter((name) => name !== undefined))];
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    });

const LABEL = /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;

/** As it stands in a certificate, or undefined for what is no name of a host. */
function canonicalName(item: string): string | undefined {
  const bare = /^\[(.*)\]$/.exec(item)?.[1] ?? item;
  if (isIP(bare) === 6)
    return bare.includes('%') ? undefined : new URL(`http://[${bare}]`).hostname.slice(1, -1);
  if (bare !== item) return undefined;
  if (isIP(item) === 4) return item;
  // what looks like an address and is none would be taken for a name
  if (/^[\d.]+$/.test(item) || item.length > 253) return undefined;
  const labels = item.replace(/^\*\./, '').split('.');
  return labels.every((label) => LABEL.test(label)) ? item : undefined;
}
