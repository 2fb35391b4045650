import { AccountState } from '@signet/service';
import type { CollectionSpec, Store } from '@signet/store';
import { requests } from './domain/approval/enrollment-request.ts';
import { attestationCas } from './domain/attestation/attestation-ca.ts';
import { attestationNonces, nonceUses } from './domain/attestation/nonce.ts';
import { attestedKeys, deviceTpms } from './domain/attestation/tpm-records.ts';
import { authorities } from './domain/authority/authority.ts';
import { authorityKeys } from './domain/authority/pin-authority.ts';
import { authorityRequests } from './domain/authority/request-authority.ts';
import { serverCertificates } from './domain/authority/server-certificate.ts';
import { usedStatements } from './domain/authority/statement.ts';
import { certificates } from './domain/certificate/certificate.ts';
import { renewals, secretUses } from './domain/certificate/reservation.ts';
import { crlChunks, crlStates } from './domain/crl/crl-store.ts';
import { uploadedCrls } from './domain/crl/root-crl.ts';
import { expiryMarks, expiryNotices } from './domain/expiry/announce-expiring.ts';
import { grants } from './domain/grant/grant.ts';
import { deviceProfiles } from './domain/profile/device-profile.ts';
import { profiles } from './domain/profile/profile.ts';
import { renewalGrants, renewalOrders } from './domain/renewal/renewal-orders.ts';
import { rootAdoptions } from './domain/root-rollover/adoption.ts';

/** The copy that this service has of the states of accounts, which `admin-api` keeps. */
export const accountStates = {
  name: 'est-ca.account-states',
  schema: AccountState,
  indexes: {},
} as const satisfies CollectionSpec<AccountState>;

/** The collections that this service owns. */
export async function openCollections(store: Store) {
  return {
    authorities: await store.collection(authorities),
    authorityRequests: await store.collection(authorityRequests),
    authorityKeys: await store.collection(authorityKeys),
    rootAdoptions: await store.collection(rootAdoptions),
    usedStatements: await store.collection(usedStatements),
    attestationCas: await store.collection(attestationCas),
    attestationNonces: await store.collection(attestationNonces),
    attestationNonceUses: await store.collection(nonceUses),
    attestedKeys: await store.collection(attestedKeys),
    deviceTpms: await store.collection(deviceTpms),
    profiles: await store.collection(profiles),
    deviceProfiles: await store.collection(deviceProfiles),
    grants: await store.collection(grants),
    renewals: await store.collection(renewals),
    renewalGrants: await store.collection(renewalGrants),
    renewalOrders: await store.collection(renewalOrders),
    expiryNotices: await store.collection(expiryNotices),
    expiryMarks: await store.collection(expiryMarks),
    secretUses: await store.collection(secretUses),
    requests: await store.collection(requests),
    accountStates: await store.collection(accountStates),
    certificates: await store.collection(certificates),
    serverCertificates: await store.collection(serverCertificates),
    crlStates: await store.collection(crlStates),
    crlChunks: await store.collection(crlChunks),
    uploadedCrls: await store.collection(uploadedCrls),
  };
}

export type Collections = Awaited<ReturnType<typeof openCollections>>;
