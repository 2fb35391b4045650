import type { Bus, Implementations } from '@signet/bus';
import {
  addAttestationCa,
  addAuthority,
  approveEnrollment,
  certifyDevice,
  changeProfile,
  commandCertificate,
  createAuthorities,
  createGrant,
  createProfile,
  declineEnrollment,
  describeAuthorities,
  describeRootCrl,
  dryRunProfile,
  enrollHandedOver,
  finishRootReplacement,
  getAccountSettings,
  getDeviceProfile,
  grantExpiredRenewal,
  identifyCertificates,
  issueServerCertificate,
  listAttestationCas,
  listAuthorities,
  listCertificates,
  listEnrollmentRequests,
  listProfiles,
  orderRenewal,
  PLATFORM_ACCOUNT,
  registerFactoryAuthority,
  registerRoot,
  releaseCertificate,
  removeAttestationCa,
  removeProfile,
  renewDevice,
  replaceRoot,
  requestAuthority,
  revokeCertificates,
  rootReplacement,
  rotateServerCertificates,
  setAuthorityState,
  setDeviceProfile,
  setFallBack,
  setFirstContact,
  signBootstrap,
  signRegistration,
  signStatement,
  uploadAuthority,
  uploadRootCrl,
  withdrawRenewal,
} from '@signet/contracts';
import type { Collections } from '../collections.ts';
import type { AuthorityKeys } from '../domain/authority/authority.ts';
import type { NeededValidity } from '../domain/authority/authority-ends.ts';
import type { RefreshedRegistry } from '../domain/authority/issuer-registry.ts';
import type { PublicUrls } from '../domain/authority/revocation-urls.ts';
import type { LeafSigner } from '../domain/certificate/issue.ts';
import type { CommandSigner } from '../domain/commands/command-signers.ts';
import { dryRunner } from '../domain/enrollment/dry-run.ts';
import type { EnrollCtx } from '../domain/enrollment/enroll.ts';
import type { ProfileDeps } from '../domain/profile/keep-profiles.ts';
import { countAdoption } from '../domain/root-rollover/adoption.ts';
import { attestationOperations } from './attestation.ts';
import { ownershipOperations, rootCrlOperations } from './authorities.ts';
import { certificateOperations, renewalOperations } from './certificates.ts';
import { enrollmentOperations, requestOperations } from './enrollments.ts';
import { grantOperations } from './grants.ts';
import { profileOperations } from './profiles.ts';
import { authorityOperations, commandOperations } from './signing.ts';

/** What the other services may ask of this one. */
export const operations = {
  addAttestationCa,
  addAuthority,
  approveEnrollment,
  certifyDevice,
  changeProfile,
  commandCertificate,
  createAuthorities,
  createGrant,
  createProfile,
  declineEnrollment,
  describeAuthorities,
  describeRootCrl,
  dryRunProfile,
  enrollHandedOver,
  finishRootReplacement,
  getDeviceProfile,
  grantExpiredRenewal,
  identifyCertificates,
  issueServerCertificate,
  listAttestationCas,
  listAuthorities,
  listCertificates,
  listEnrollmentRequests,
  listProfiles,
  orderRenewal,
  registerFactoryAuthority,
  registerRoot,
  releaseCertificate,
  removeAttestationCa,
  removeProfile,
  renewDevice,
  replaceRoot,
  requestAuthority,
  revokeCertificates,
  rootReplacement,
  rotateServerCertificates,
  setAuthorityState,
  setDeviceProfile,
  setFallBack,
  setFirstContact,
  signBootstrap,
  signRegistration,
  signStatement,
  uploadAuthority,
  uploadRootCrl,
  withdrawRenewal,
};
export type EstCaOperations = Implementations<typeof operations>;

export type OperationsCtx = Collections &
  EnrollCtx & {
    readonly bus: Pick<Bus, 'request'>;
    readonly keys: AuthorityKeys;
    readonly registry: RefreshedRegistry;
    readonly urls: PublicUrls;
    readonly signer: LeafSigner;
    readonly profileCtx: ProfileDeps;
    readonly neededValidity: (account: string) => Promise<NeededValidity>;
    readonly commandSignerOf: (account: string) => Promise<CommandSigner>;
    readonly settings: {
      readonly serverValidityDays: number;
      /** Whose server CA signs for the services, where it has one of its own. */
      readonly serverAccount?: string | undefined;
      readonly grantMinutes: number;
      readonly maxCasPerAccount: number;
    };
  };

/** One function for each operation: it decodes, calls one use case and encodes. */
export function operationsOf(ctx: OperationsCtx): EstCaOperations {
  const { bus, profileCtx, settings, signer, trustDomain, now } = ctx;
  return {
    ...authorityOperations({
      ...ctx,
      serverValidityDays: settings.serverValidityDays,
      serverAccount: settings.serverAccount ?? PLATFORM_ACCOUNT,
    }),
    ...commandOperations({ authorities: ctx.authorities, signerOf: ctx.commandSignerOf }),
    ...ownershipOperations({
      ...ctx,
      requests: ctx.authorityRequests,
      statements: ctx.usedStatements,
      adoptionOf: (root) => countAdoption({ ...ctx, adoptions: ctx.rootAdoptions }, root),
      maxPerAccount: settings.maxCasPerAccount,
      refresh: ctx.registry.refresh,
    }),
    ...rootCrlOperations({ authorities: ctx.authorities, uploads: ctx.uploadedCrls, now }),
    ...enrollmentOperations(ctx),
    ...requestOperations(ctx),
    ...grantOperations({ ...ctx, lifetimeMs: settings.grantMinutes * 60_000 }),
    ...profileOperations({
      ...ctx,
      ...profileCtx,
      handedOverTo: async (account) => (await bus.request(getAccountSettings, { account })).profile,
      dryRun: dryRunner({ ...profileCtx, trustDomain, signer }),
    }),
    ...certificateOperations(ctx),
    ...renewalOperations(ctx),
    ...attestationOperations({ ...ctx, cas: ctx.attestationCas }),
  };
}
