import { isIP } from 'node:net';
import { isPrivateAddress } from './private-address.ts';

/** Why a URL cannot be called, as far as it says so itself; names are looked up when it is called. */
export function unfitUrl(url: string, allowPrivate: boolean): string | undefined {
  if (allowPrivate) return undefined;
  const { protocol, hostname } = new URL(url);
  if (protocol !== 'https:') return 'https: expected';
  const host = hostname.replace(/^\[|\]$/g, '');
  return isIP(host) !== 0 && isPrivateAddress(host) ? `${host} is a private address` : undefined;
}
