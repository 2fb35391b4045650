import { PLATFORM_ACCOUNT } from '@signet/contracts';
import type { VerifiedPeer } from '@signet/pki';
import { noteAdoption, pendingRoots } from './anchor-adoption.ts';
import type { Authorities } from './authority.ts';
import { caCertificates, readAuthorities } from './read-authorities.ts';

/**
 * DER of the CA certificates that devices of an account are given (RFC 7030 §4.1.3). While a root is replaced, it is
 * noted that the device which fetched them, known by its operational certificate, has the new one.
 */
export async function giveAnchors(
  deps: {
    readonly authorities: Pick<Authorities, 'find'>;
    readonly adoptions: Parameters<typeof noteAdoption>[0];
    readonly now: () => number;
  },
  account: string | undefined,
  peer: VerifiedPeer | undefined,
): Promise<readonly Uint8Array[]> {
  const documents = await readAuthorities(deps.authorities);
  if (peer?.purpose === 'operational' && peer.account !== undefined && !peer.expired) {
    const given = pendingRoots(documents, account ?? PLATFORM_ACCOUNT).map(({ id }) => id);
    const device = { account: peer.account, deviceId: peer.deviceId };
    await noteAdoption(deps.adoptions, device, given, deps.now());
  }
  return caCertificates(documents, account, deps.now());
}
