import {
  checkAttestationKey,
  endorsementKeyOf,
  makeCredential,
  nameOf,
  parsePublicArea,
  vouchedTpm,
} from '@signet/attestation';
import type { ProvenDevice } from '../enrollment/enrollment-error.ts';
import { type AttestationCas, listCas } from './attestation-ca.ts';
import { giveNonce, type NonceDeps } from './nonce.ts';
import { refusing } from './refusing.ts';
import { factsOf } from './verify-attestation.ts';

/** What a device says of its TPM. */
export type ChallengeRequest = {
  /** TPMT_PUBLIC. */
  readonly attestationKey: Uint8Array;
  /** DER: that of the endorsement key, and CAs above it. */
  readonly certificates: readonly Uint8Array[];
};

export type Challenge = {
  /** Input of TPM2_ActivateCredential; what comes out is the nonce. */
  readonly credentialBlob: Uint8Array;
  readonly encryptedSecret: Uint8Array;
  readonly expiresAt: string;
};

/**
 * Gives a device its nonce in a form that only the TPM with this endorsement key can open, and only while it holds this
 * attestation key (Part 1 §24): a statement that answers the nonce shows that key to be one of that TPM.
 * @throws EnrollmentError `bad-attestation`, `not-a-tpm-key`, `unknown-vendor`
 */
export async function challenge(
  deps: NonceDeps & { readonly cas: Pick<AttestationCas, 'find'> },
  device: ProvenDevice,
  { attestationKey, certificates }: ChallengeRequest,
): Promise<Challenge> {
  const area = refusing(() => parsePublicArea(attestationKey));
  refusing(() => checkAttestationKey(area));
  const cas = (await listCas(deps.cas, device.account)).map((ca) => ({ ca, certificate: ca.parsed }));
  const vouched = refusing(() => vouchedTpm(certificates, 'endorsement', { cas, now: deps.now() }));
  const endorsement = refusing(() => endorsementKeyOf(vouched.certificate.publicKey));
  const { nonce, expiresAt } = await giveNonce(deps, device, {
    attestationKey: Buffer.from(attestationKey).toString('base64'),
    tpm: factsOf(vouched, vouched.ca.ca),
  });
  return { ...makeCredential(endorsement, nameOf(area), nonce), expiresAt };
}
