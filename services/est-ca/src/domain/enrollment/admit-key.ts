import type { Csr } from '@signet/pki';
import type { RequireAttestation } from '../attestation/require-attestation.ts';
import type { Profile } from '../profile/profile.ts';
import { admitCsr } from './csr-policy.ts';
import type { ProvenDevice } from './enrollment-error.ts';

/**
 * Whether the key of a CSR may be certified under a profile, with the proof that a TPM holds it where the profile wants
 * one. Which TPM it is may decide the profile: its own rules then count as well.
 * @returns the profile that is in force
 * @throws EnrollmentError whatever it refuses
 */
export async function admitKey(
  { requireAttestation }: { readonly requireAttestation: RequireAttestation },
  csr: Csr,
  device: ProvenDevice,
  asked: Profile,
): Promise<Profile> {
  admitCsr(csr, asked);
  if (asked.attestation !== 'tpm') return asked;
  const profile = await requireAttestation(csr, device, asked);
  if (profile !== asked) admitCsr(csr, profile);
  return profile;
}
