import { type Csr, parseCertificatePem, type VerifiedPeer } from '@signet/pki';
import type { Collection } from '@signet/store';
import type { Attestation } from '../attestation/require-attestation.ts';
import type { CertificateRecord } from '../certificate/certificate.ts';
import { renewsOf } from '../certificate/issue.ts';
import type { Profile } from '../profile/profile.ts';
import { renewalTime } from '../renewal/expired-renewal.ts';
import { type RenewalGrants, useRenewalGrant } from '../renewal/renewal-grant.ts';
import { profileOfRenewal, type RenewalOrders } from '../renewal/renewal-order.ts';
import { type CertifyDeps, certify } from './certify.ts';
import type { Enrolled } from './enroll.ts';
import { type Renewal, reserveRenewal } from './renewal.ts';
import type { CertifiedNames } from './subject.ts';

/** Tells whoever keeps the devices' keys of a next one. @throws EnrollmentError `unavailable`, `third-key` */
export type AnnounceNextKey = (current: CertificateRecord, next: CertificateRecord) => Promise<void>;

export type RenewDeps = CertifyDeps & {
  readonly renewals: Pick<Collection<Renewal>, 'insert' | 'update'>;
  readonly renewalGrants: Pick<RenewalGrants, 'update'>;
  readonly renewalOrders: Pick<RenewalOrders, 'get'>;
  readonly announceNextKey: AnnounceNextKey;
};

/** A renewal whose device and CSR are found good. */
export type ToRenew = {
  readonly current: CertificateRecord;
  readonly csr: Csr;
  readonly profile: Profile;
  readonly attestation: Attestation;
  readonly names: CertifiedNames;
  readonly peer: VerifiedPeer | undefined;
};

/**
 * Renews a certificate if it is time, or an operator ordered it, an expired one within its profile's grace or by a grant for that device. A new
 * key is announced before it is answered.
 * @throws ApprovalPending; EnrollmentError `too-early`, `expired`, whatever `certify` and the announcement refuse
 */
export async function renewCertificate(deps: RenewDeps, wanted: ToRenew): Promise<Enrolled> {
  const { current, csr, names, peer } = wanted;
  const { account, deviceId, serialNumber: currentSerialNumber } = current;
  const { notAfter } = parseCertificatePem(current.certificate);
  const profile = await profileOfRenewal(deps.renewalOrders, current, wanted.profile, deps.now());
  const needsGrant = renewalTime({ notAfter }, profile, deps.now()) === 'needs-grant';
  const renews = renewsOf(current, csr.publicKeyHash);
  const issued = await certify(deps, {
    account,
    deviceId,
    profile,
    proof: current.fingerprint,
    csr,
    askedKeyHash: csr.publicKeyHash,
    key: { spkiDer: csr.spkiDer, publicKeyHash: csr.publicKeyHash, type: csr.keyType },
    names,
    attestation: wanted.attestation,
    peer,
    renews,
    reserve: async (reservation) => {
      const now = Date.parse(reservation.issuedAt);
      const { publicKeyHash } = reservation;
      if (needsGrant)
        await useRenewalGrant(deps.renewalGrants, { account, deviceId }, { publicKeyHash, notAfter, now });
      return reserveRenewal(deps.renewals, { account, deviceId, currentSerialNumber, reservation }, now);
    },
  });
  if (renews.keyChanged) await deps.announceNextKey(current, issued.record);
  return { ...issued, profile: wanted.profile };
}
