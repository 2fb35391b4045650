import type { Csr } from '@signet/pki';
import type { CheckedKey, RequireAttestation } from '../attestation/require-attestation.ts';
import type { Profile } from '../profile/profile.ts';
import { admitCsr } from './csr-policy.ts';
import type { ProvenDevice } from './enrollment-error.ts';

/**
 * Whether the key of a CSR may be certified under a profile, with the proof that a TPM holds it where the profile wants
 * one. Which TPM it is may decide the profile: its own rules then count as well.
 * @returns the profile that is in force, and what vouches for the key
 * @throws EnrollmentError whatever it refuses
 */
export async function admitKey(
  { requireAttestation }: { readonly requireAttestation: RequireAttestation },
  csr: Csr,
  device: ProvenDevice,
  asked: Profile,
): Promise<CheckedKey> {
  admitCsr(csr, asked);
  const checked = await requireAttestation(csr, device, asked);
  if (checked.profile.id !== asked.id) admitCsr(csr, checked.profile);
  return checked;
}
