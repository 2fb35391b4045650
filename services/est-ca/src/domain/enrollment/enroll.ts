import type { VerifiedPeer } from '@signet/pki';
import type { Certificates } from '../certificate/certificate.ts';
import { type Issued, issueReserved, type LeafSigner } from '../certificate/issue.ts';
import type { Grants } from '../grant/grant.ts';
import { reserveByGrant } from '../grant/use-grant.ts';
import type { FindProfile } from '../profile/find-profile.ts';
import { type Label, labelOf } from '../profile/label.ts';
import type { Profile } from '../profile/profile.ts';
import { admitCsr, readCsr } from './csr-policy.ts';
import { EnrollmentError, onBehalfOf } from './enrollment-error.ts';
import { findGrant, type GrantCredentials } from './grant-holder.ts';
import { enrolledNames } from './subject.ts';

export type EnrollDeps = {
  readonly grants: Pick<Grants, 'find' | 'update'>;
  readonly certificates: Pick<Certificates, 'get' | 'insert'>;
  readonly findProfile: FindProfile;
  readonly signer: LeafSigner;
  readonly trustDomain: string;
  readonly now: () => number;
};

/** What became of an enrolment, and the profile that it was made under. */
export type Enrolled = Issued & { readonly profile: Profile };

export type EnrollRequest = {
  /** DER of the PKCS#10 request. */
  readonly csr: Uint8Array;
  readonly label: Label | undefined;
  readonly basic: GrantCredentials['basic'];
  readonly peer: VerifiedPeer | undefined;
};

/**
 * RFC 7030 §4.2.1. Two commits: the grant is bound to the key, then the certificate is recorded. Whatever fails in
 * between, the same request made again ends with the same certificate, and no other is ever handed out.
 * @throws EnrollmentError whatever it refuses
 */
export async function enroll(deps: EnrollDeps, request: EnrollRequest): Promise<Enrolled> {
  const csr = readCsr(request.csr);
  const found = await findGrant(deps.grants, {
    credentials: { basic: request.basic, challengePassword: csr.challengePassword },
    label: request.label,
    peer: request.peer,
    now: deps.now(),
  });
  const { grant, secretHash } = found;
  return onBehalfOf(grant, async () => {
    const profile = await deps.findProfile({ account: grant.account, profile: grant.profile });
    if (profile.authentication === 'certificate+grant' && request.peer === undefined)
      throw new EnrollmentError(
        'no-certificate',
        `certificate: profile "${profile.id}" wants one besides the grant`,
      );
    admitCsr(csr, profile);
    const names = enrolledNames(csr, grant, profile, deps.trustDomain);

    const now = deps.now();
    const proposed = await deps.signer.reserve({
      account: grant.account,
      publicKeyHash: csr.publicKeyHash,
      validityDays: profile.validityDays,
      now,
    });
    const reservation = await reserveByGrant(deps.grants, grant.id, {
      secretHash,
      reservation: proposed,
      now,
    });
    const issued = await issueReserved(
      deps,
      {
        account: grant.account,
        deviceId: grant.deviceId,
        profile: labelOf(grant.account, grant.profile),
        leaf: { reservation, spkiDer: csr.spkiDer, ...names },
      },
      { mayExist: reservation.serialNumber !== proposed.serialNumber },
    );
    return { ...issued, profile };
  });
}
