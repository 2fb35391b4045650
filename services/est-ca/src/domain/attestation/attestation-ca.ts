import { Account, AttestationRule, Fingerprint } from '@signet/contracts';
import { type Certificate, PkiError, parseCertificatePem } from '@signet/pki';
import { type Collection, type CollectionSpec, isDuplicate } from '@signet/store';
import { z } from 'zod';
import { type FindProfile, ProfileError } from '../profile/profile.ts';

/** A CA of a maker of TPMs that an account trusts. */
export const AttestationCaDocument = z.object({
  /** Account and fingerprint. */
  id: z.string(),
  account: Account,
  fingerprint: Fingerprint,
  /** PEM. */
  certificate: z.string(),
  rules: z.array(AttestationRule),
});
export type AttestationCaDocument = z.infer<typeof AttestationCaDocument>;
export type AttestationCas = Collection<AttestationCaDocument, 'account'>;

export const attestationCas: CollectionSpec<AttestationCaDocument, 'account'> = {
  name: 'est-ca.attestation-cas',
  schema: AttestationCaDocument,
  indexes: { account: { fields: ['account', 'fingerprint'], unique: true } },
};

/** What cannot be done with them. */
export class AttestationCaError extends Error {
  override readonly name = 'AttestationCaError';
  readonly code: 'bad-certificate' | 'unknown-attestation-ca';
  readonly field: string;

  constructor(code: AttestationCaError['code'], message: string, field: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.field = field;
  }
}

/** A CA at hand. */
export type TrustedCa = AttestationCaDocument & { readonly parsed: Certificate };

/** The CAs that an account trusts; a page holds more than any account has. */
export async function listCas(
  cas: Pick<AttestationCas, 'find'>,
  account: string,
): Promise<readonly TrustedCa[]> {
  const { items } = await cas.find({ index: 'account', equals: { account }, limit: 1000 });
  return items.map((document) => ({ ...document, parsed: parseCertificatePem(document.certificate) }));
}

/**
 * Trusts a CA; one that is trusted already gets the rules that are given.
 * @throws AttestationCaError `bad-certificate`; ProfileError `invalid-profile`; EnrollmentError `unknown-profile`
 */
export async function addCa(
  deps: { readonly cas: AttestationCas; readonly findProfile: FindProfile; readonly now: () => number },
  { account, certificate, rules }: Pick<AttestationCaDocument, 'account' | 'certificate' | 'rules'>,
): Promise<TrustedCa> {
  const parsed = readCa(certificate, deps.now());
  for (const [index, { profile }] of rules.entries()) {
    const { attestation, id } = await deps.findProfile({ account, profile });
    if (attestation !== 'tpm')
      throw new ProfileError(
        'invalid-profile',
        `rules.${index}.profile: "${id}" does not ask for attestation: what a TPM decides would be lost at the renewal`,
        `rules.${index}.profile`,
      );
  }
  const { fingerprint } = parsed;
  const id = `${account}/${fingerprint}`;
  const document = { id, account, fingerprint, certificate: parsed.pem(), rules };
  try {
    await deps.cas.insert(document);
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    await deps.cas.update(id, () => ({ document }));
  }
  return { ...document, parsed };
}

/** @throws AttestationCaError `unknown-attestation-ca` */
export async function removeCa(
  cas: Pick<AttestationCas, 'get' | 'remove'>,
  account: string,
  fingerprint: string,
): Promise<void> {
  const id = `${account}/${fingerprint}`;
  if ((await cas.get(id)) === undefined)
    throw new AttestationCaError(
      'unknown-attestation-ca',
      `id: account "${account}" trusts no CA of TPMs with fingerprint ${fingerprint}`,
      'id',
    );
  await cas.remove(id);
}

function readCa(pem: string, now: number): Certificate {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new AttestationCaError('bad-certificate', `certificate: ${reason}`, 'certificate', { cause });
  };
  try {
    const parsed = parseCertificatePem(pem);
    if (parsed.basicConstraints?.ca !== true || parsed.keyUsage?.has('keyCertSign') === false)
      refuse('is not one of a CA that may issue');
    if (now > parsed.notAfter) refuse(`expired at ${new Date(parsed.notAfter).toISOString()}`);
    return parsed;
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    return refuse(cause.message, cause);
  }
}
