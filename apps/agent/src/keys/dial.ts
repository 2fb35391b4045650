import type { Duplex } from 'node:stream';
import { clockNow } from '../clock.ts';
import type { Identity } from '../identity.ts';
import { timeByServer } from '../unclocked-tls.ts';
import { connectByOpenssl } from './openssl-tls.ts';

/** The connection of an identity whose key somebody holds for the device; undefined where the key is at hand. */
export async function dialByHolder(
  identity: Identity | undefined,
  {
    url,
    defaultPort,
    trust,
  }: { readonly url: string | URL; readonly defaultPort: number; readonly trust: string },
): Promise<Duplex | undefined> {
  if (identity?.holder === undefined) return undefined;
  const { hostname, port } = new URL(url);
  const server = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || defaultPort), trust };
  const key = await identity.holder.openssl(identity.key);
  const at = clockNow() === undefined ? await timeByServer(url, { defaultPort, trust }) : undefined;
  return connectByOpenssl({ ...server, identity, key, at });
}
