import { type ServiceDeps, unfitUrl } from '@signet/service';
import { webhookCaller } from './adapters/ask-webhook.ts';
import { announceOverBus, findDeviceOverBus, requireAccountOverBus } from './adapters/bus-requests.ts';
import type { Collections } from './collections.ts';
import type { EstCaConfig } from './config.ts';
import { type AttestationDeps, attestationGuard } from './domain/attestation/require-attestation.ts';
import type { IssuerRegistry } from './domain/authority/issuer-registry.ts';
import type { PublicUrls } from './domain/authority/revocation-urls.ts';
import { leafSigner } from './domain/certificate/leaf-signer.ts';
import type { EnrollCtx } from './domain/enrollment/enroll.ts';
import { issuerOf } from './domain/profile/check-profile.ts';
import type { ProfileDeps } from './domain/profile/keep-profiles.ts';
import { profileFinder, type RequireAccount } from './domain/profile/profile.ts';

/** A device waits for its renewal while the new key is announced. */
const ANNOUNCE_DEADLINE_MS = 5000;
/** And while an owner's back end is asked, or its device is looked up. */
const WEBHOOK_DEADLINE_MS = 3000;
const FIND_DEVICE_DEADLINE_MS = 3000;
/** A request waits no longer to learn that its label is a typo. */
const FIND_ACCOUNT_DEADLINE_MS = 1000;

/** What first enrolments and renewals need. */
export type EnrollmentCtx = EnrollCtx & {
  readonly attestation: AttestationDeps;
  readonly requireAccount: RequireAccount;
};

export function enrollmentCtx(
  config: EstCaConfig,
  { bus, now }: ServiceDeps,
  parts: Collections & { readonly registry: IssuerRegistry; readonly urls: PublicUrls },
): EnrollmentCtx {
  const findProfile = profileFinder(parts.profiles, profileDefaults(config));
  const attestation: AttestationDeps = {
    cas: parts.attestationCas,
    nonces: parts.attestationNonces,
    nonceUses: parts.attestationNonceUses,
    attestedKeys: parts.attestedKeys,
    deviceTpms: parts.deviceTpms,
    findProfile,
    now,
  };
  return {
    ...parts,
    findProfile,
    attestation,
    requireAttestation: attestationGuard(attestation),
    signer: leafSigner(parts.registry, parts.urls, config.SIGNET_EST_CRL_PARTITIONS),
    trustDomain: config.SIGNET_TRUST_DOMAIN,
    findDevice: findDeviceOverBus(bus, { deadlineMs: FIND_DEVICE_DEADLINE_MS }),
    requireAccount: requireAccountOverBus(bus, parts.accountStates, { deadlineMs: FIND_ACCOUNT_DEADLINE_MS }),
    askWebhook: webhookCaller({
      deadlineMs: WEBHOOK_DEADLINE_MS,
      allowPrivate: config.SIGNET_OUTWARD_PRIVATE,
      now,
    }),
    announceNextKey: announceOverBus(bus, { deadlineMs: ANNOUNCE_DEADLINE_MS }),
    now,
  };
}

/** What keeping profiles needs. */
export function profileCtx(
  config: EstCaConfig,
  { now }: Pick<ServiceDeps, 'now'>,
  { profiles, registry }: Pick<Collections, 'profiles'> & { readonly registry: IssuerRegistry },
): ProfileDeps {
  return {
    profiles,
    defaults: profileDefaults(config),
    bounds: () => ({
      issuerOf: issuerOf(registry),
      unfitWebhook: (url) => unfitUrl(url, config.SIGNET_OUTWARD_PRIVATE),
      now: now(),
    }),
  };
}

function profileDefaults(config: EstCaConfig): ProfileDeps['defaults'] {
  return { validityDays: config.SIGNET_EST_VALIDITY_DAYS };
}
