import { getAccountSettings, PLATFORM_ACCOUNT } from '@signet/contracts';
import type { ServiceDeps } from '@signet/service';
import type { Collections } from '../adapters/collections.ts';
import type { EstCaConfig } from '../config.ts';
import { countAdoption } from '../domain/authority/anchor-adoption.ts';
import { leafSigner, type PublicUrls } from '../domain/certificate/leaf-signer.ts';
import { dryRunner } from '../domain/enrollment/dry-run.ts';
import { neededValidity } from '../domain/profile/keep-profiles.ts';
import type { FindProfile } from '../domain/profile/profile.ts';
import { attestationOperations } from '../messaging/attestation-operations.ts';
import { authorityOperations } from '../messaging/authority-operations.ts';
import { certificateOperations } from '../messaging/certificate-operations.ts';
import { grantOperations } from '../messaging/grant-operations.ts';
import type { EstCaOperations } from '../messaging/operations.ts';
import { ownershipOperations } from '../messaging/ownership-operations.ts';
import { profileOperations } from '../messaging/profile-operations.ts';
import { renewalOperations } from '../messaging/renewal-operations.ts';
import { requestOperations } from '../messaging/request-operations.ts';
import { rootCrlOperations } from '../messaging/root-crl-operations.ts';
import type { OpenAuthorities } from './authorities.ts';
import { profileDeps } from './enrollment.ts';

/** What the other services may ask of this one. */
export function operationsOf(
  config: EstCaConfig,
  { bus, now }: Pick<ServiceDeps, 'bus' | 'now'>,
  parts: Collections &
    Pick<OpenAuthorities, 'keys' | 'ring'> & {
      readonly urls: PublicUrls;
      readonly findProfile: FindProfile;
    },
): EstCaOperations {
  const { ring, keys } = parts;
  const deps = { ...parts, now };
  const profiles = profileDeps(config, { now }, parts);
  const trustDomain = config.SIGNET_TRUST_DOMAIN;
  const signer = leafSigner(ring, parts.urls, config.SIGNET_EST_CRL_PARTITIONS);
  return {
    ...authorityOperations({
      ...deps,
      serverValidityDays: config.SIGNET_EST_SERVER_VALIDITY_DAYS,
      serverAccount: config.SIGNET_EST_SERVER_ACCOUNT ?? PLATFORM_ACCOUNT,
    }),
    ...grantOperations({ ...deps, lifetimeMs: config.SIGNET_EST_GRANT_MINUTES * 60_000 }),
    ...profileOperations({
      ...deps,
      ...profiles,
      handedOverTo: async (account) => (await bus.request(getAccountSettings, { account })).profile,
      dryRun: dryRunner({ ...profiles, trustDomain, signer }),
    }),
    ...requestOperations(deps),
    ...certificateOperations(deps),
    ...renewalOperations(deps),
    ...attestationOperations({ ...deps, cas: parts.attestationCas }),
    ...rootCrlOperations({ authorities: parts.authorities, uploads: parts.uploadedCrls, now }),
    ...ownershipOperations({
      authorities: parts.authorities,
      authorityKeys: parts.authorityKeys,
      requests: parts.authorityRequests,
      statements: parts.usedStatements,
      adoptionOf: (root) => countAdoption({ ...deps, adoptions: parts.anchorAdoptions }, root),
      keys,
      urls: parts.urls,
      maxPerAccount: config.SIGNET_EST_ACCOUNT_CAS,
      neededValidity: (account) => neededValidity(profiles, account),
      refresh: ring.refresh,
      now,
    }),
  };
}
