import { CodedError } from '@signet/contracts';

/** Stable codes of everything that an attestation is refused for. */
export type AttestationErrorCode =
  /** Not the structure that it should be; the message names the field. */
  | 'malformed'
  /** Longer than the limit for its kind. */
  | 'too-large'
  /** An algorithm, curve or scheme that is not known here. */
  | 'unsupported-algorithm'
  /** Not made by a TPM: TPM_GENERATED_VALUE is missing. */
  | 'wrong-magic'
  /** Made by a TPM, but it certifies no key. */
  | 'wrong-type'
  /** Made for another question than ours: an old statement, or somebody else's. */
  | 'wrong-nonce'
  /** The key that was certified is not the one whose public area comes with it. */
  | 'wrong-name'
  /** The public area is not that of the key that asks. */
  | 'wrong-key'
  /** The key can leave its TPM, came from outside, or is of no use for signing; the message names the attribute. */
  | 'wrong-attribute'
  /** The statement is not signed by the attestation key. */
  | 'bad-signature'
  /** No vendor's CA that the account trusts vouches for the TPM. */
  | 'unknown-vendor'
  /** The TPM's certificate, or a CA above it, is out of its time. */
  | 'expired-certificate'
  /** The certificate is not one of an endorsement or attestation key, or a CA above it may not issue. */
  | 'wrong-certificate'
  /** The attestation key would sign what did not come from its TPM. */
  | 'not-an-attestation-key';

/** What this library throws. The message names the field and the reason. */
export class AttestationError extends CodedError<AttestationErrorCode> {}
