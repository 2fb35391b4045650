import type { Bus, Subscription } from '@signet/bus';
import { eraseById, eraseByIndex, followDeletions } from '@signet/service';
import type { Collections } from '../collections.ts';
import { endAccount } from '../domain/account/end-account.ts';

/**
 * Ends a deleted account: its certificates and CAs are revoked, and all goes that would let somebody enrol. Records of
 * what was issued, CAs and CRLs stay, and OCSP answers by them.
 */
export function eraseDeletedAccounts(
  bus: Pick<Bus, 'consume'>,
  collections: Collections,
  now: () => number,
): Promise<Subscription> {
  const { accountStates: states, certificates, authorities } = collections;
  return followDeletions(bus, 'est-ca', {
    states,
    end: ({ account, data }) => endAccount({ certificates, authorities, now }, account, data.by),
    erasures: [
      eraseById(collections.grants),
      eraseByIndex(collections.requests, 'account'),
      eraseById(collections.renewalGrants),
      eraseById(collections.renewalOrders),
      eraseById(collections.secretUses),
      eraseById(collections.attestedKeys),
      eraseById(collections.deviceTpms),
      eraseById(collections.rootAdoptions),
      eraseByIndex(collections.attestationCas, 'account'),
      eraseByIndex(collections.authorityRequests, 'account'),
      eraseByIndex(collections.deviceProfiles, 'profile'),
      eraseByIndex(collections.profiles, 'account'),
    ],
  });
}
