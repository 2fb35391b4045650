import { z } from 'zod';
import { Account, Fingerprint, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { ProfileName } from './enrollment-profiles.ts';

const text = z.string().min(1).max(128);

/** Which TPMs of a vendor are enrolled by which profile. */
export const AttestationRule = z.object({
  manufacturer: text
    .optional()
    .describe('TPM manufacturer as its certificate says it, such as `id:49465800`'),
  model: text.optional().describe('TPM model, such as `SLB9670`'),
  profile: ProfileName.describe('The profile that such a TPM is enrolled by; it has to ask for attestation'),
});
export type AttestationRule = z.infer<typeof AttestationRule>;

const rules = z
  .array(AttestationRule)
  .max(32)
  .describe('The first one that fits decides the profile; without one it is the profile that was asked for');

/** A CA of a maker of TPMs, which an account trusts to say what is one. */
export const AttestationCa = z.object({
  account: Account,
  id: Fingerprint.describe('SHA-256 of the certificate'),
  certificate: z.string().describe('PEM'),
  subject: z.string(),
  notAfter: Time,
  rules,
});
export type AttestationCa = z.infer<typeof AttestationCa>;

export const listAttestationCas = operation('est-ca.list-attestation-cas', {
  idempotent: true,
  input: z.object({ account: Account }),
  output: z.object({ items: z.array(AttestationCa) }),
  errors: [],
});

/** Trusts a CA; one that is trusted already gets the rules that are given. */
export const addAttestationCa = operation('est-ca.add-attestation-ca', {
  input: z.object({
    account: Account,
    certificate: z.string().max(16_384).describe('A root or an intermediate in PEM'),
    rules: rules.default([]),
    by: z.string(),
  }),
  output: AttestationCa,
  errors: ['bad-certificate', 'unknown-profile', 'invalid-profile'],
});

/** No TPM below it enrols or renews from now on. */
export const removeAttestationCa = operation('est-ca.remove-attestation-ca', {
  input: z.object({ account: Account, id: Fingerprint, by: z.string() }),
  output: z.object({ removed: Fingerprint }),
  errors: ['unknown-attestation-ca'],
});
