import { AttestationError } from '../attestation-error.ts';
import { IN_THIS_TPM, requireAttributes } from '../tpm/object-attributes.ts';
import type { PublicArea } from '../tpm/public-area.ts';

/**
 * Refuses a key as an attestation key that would sign statements which its TPM did not make, or that may live elsewhere.
 * @throws AttestationError `not-an-attestation-key`
 */
export function checkAttestationKey(area: Pick<PublicArea, 'attributes'>): void {
  try {
    requireAttributes(
      area.attributes,
      { set: [...IN_THIS_TPM, 'restricted', 'sign'], clear: ['decrypt', 'encryptedDuplication'] },
      'attestation key',
    );
  } catch (cause) {
    if (!(cause instanceof AttestationError)) throw cause;
    throw new AttestationError('not-an-attestation-key', cause.message, { cause });
  }
}
