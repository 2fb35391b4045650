import type { VerifiedPeer } from '@signet/pki';
import type { RequireAttestation } from '../attestation/require-attestation.ts';
import { type Basis, type Issued, renewsOf } from '../certificate/issue.ts';
import type { Label } from '../profile/label.ts';
import type { Profile } from '../profile/profile.ts';
import { admitKey } from './admit-key.ts';
import { type Applicant, type ApplicantDeps, identify } from './applicant.ts';
import { type CertifyDeps, certify } from './certify.ts';
import { readCsr } from './csr-policy.ts';
import { onBehalfOf } from './enrollment-error.ts';
import type { GrantCredentials } from './grant-holder.ts';
import { type ChannelBinding, requireLinking } from './linking.ts';
import type { AnnounceNextKey } from './renew-certificate.ts';
import { enrolledNames } from './subject.ts';

export type EnrollDeps = ApplicantDeps &
  CertifyDeps & {
    readonly requireAttestation: RequireAttestation;
    /** Trust domain of SPIFFE ids. */
    readonly trustDomain: string;
    readonly announceNextKey: AnnounceNextKey;
  };

/** What became of an enrolment, and the profile that it was made under. */
export type Enrolled = Issued & { readonly profile: Profile };

export type EnrollRequest = {
  /** DER of the PKCS#10 request. */
  readonly csr: Uint8Array;
  readonly label: Label | undefined;
  readonly basic: GrantCredentials['basic'];
  readonly peer: VerifiedPeer | undefined;
  /** Of the connection that it came on. */
  readonly channelBinding: ChannelBinding;
};

/**
 * RFC 7030 §4.2.1. What the device proved itself by is bound to the key at the latest by the commit that records the
 * certificate. Whatever fails, the same request made again ends with the recorded certificate, and no other is handed out.
 * @throws EnrollmentError whatever it refuses; ApprovalPending
 */
export async function enroll(deps: EnrollDeps, request: EnrollRequest): Promise<Enrolled> {
  const csr = readCsr(request.csr);
  const applicant = await identify(deps, {
    credentials: credentialsOf(request, csr.challengePassword),
    label: request.label,
    peer: request.peer,
  });
  return onBehalfOf(applicant, async () => {
    requireLinking(applicant.profile, csr.challengePassword, request.channelBinding);
    const { profile, attestation } = await admitKey(deps, csr, applicant, applicant.profile);
    const issued = await certify(deps, {
      ...applicant,
      ...basisOf(applicant, csr.publicKeyHash),
      profile,
      attestation,
      csr,
      askedKeyHash: csr.publicKeyHash,
      key: { spkiDer: csr.spkiDer, publicKeyHash: csr.publicKeyHash, type: csr.keyType },
      names: enrolledNames(csr, applicant, profile, deps.trustDomain),
      peer: request.peer,
    });
    await announceIfRenewed(deps, applicant, issued);
    return { ...issued, profile };
  });
}

/** What the certificate of whoever asks is issued on. */
export function basisOf({ coming: { entry, current } }: Applicant, publicKeyHash: string): Basis {
  return current === undefined ? { entry } : { renews: renewsOf(current, publicKeyHash) };
}

/** A certificate that was shown and is renewed by `simpleenroll` announces its next key as any renewal does. */
export async function announceIfRenewed(
  { announceNextKey }: Pick<EnrollDeps, 'announceNextKey'>,
  { coming: { current } }: Applicant,
  { record }: Issued,
): Promise<void> {
  if (current !== undefined && record.publicKeyHash !== current.publicKeyHash)
    await announceNextKey(current, record);
}

/** A challengePassword that is the channel binding is no grant. */
export function credentialsOf(
  { basic, channelBinding }: Pick<EnrollRequest, 'basic' | 'channelBinding'>,
  challengePassword: string | undefined,
): GrantCredentials {
  return challengePassword === undefined || challengePassword === channelBinding()
    ? { basic }
    : { basic, challengePassword };
}
