import type { VerifiedPeer } from '@signet/pki';
import type { Enrolled, EnrollRequest, ReenrollRequest } from '../../domain/enrollment/enroll.ts';
import type { Label, Profile } from '../../domain/profile/profile.ts';
import type { RenewalInfo, RenewalInfoRequest } from '../../domain/renewal/renewal-info.ts';
import type { KeyEnrolled } from '../../domain/server-keygen/server-keygen.ts';
import type { AttestationServices } from './attestation.ts';

/** What the EST listener needs of the rest of the service. */
export type EstServices = {
  readonly attestation: AttestationServices;
  readonly enroll: (request: EnrollRequest) => Promise<Enrolled>;
  /** Undefined where the profile makes no keys. */
  readonly serverKeygen: (request: EnrollRequest) => Promise<KeyEnrolled | undefined>;
  readonly reenroll: (request: ReenrollRequest) => Promise<Enrolled>;
  /** DER of every CA that devices of an account may meet; without an account, of the platform's. */
  readonly caCertificates: (
    account: string | undefined,
    peer: VerifiedPeer | undefined,
  ) => Promise<readonly Uint8Array[]>;
  readonly renewalInfo: (request: RenewalInfoRequest) => Promise<RenewalInfo>;
  /** @throws EnrollmentError `unknown-profile` */
  readonly findProfile: (label: Pick<Label, 'account' | 'profile'>) => Promise<Profile>;
};
