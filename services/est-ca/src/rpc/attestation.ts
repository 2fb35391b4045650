import { type AttestationCa, OperationError } from '@signet/contracts';
import {
  AttestationCaError,
  type AttestationCas,
  addCa,
  listCas,
  removeCa,
  type TrustedCa,
} from '../domain/attestation/attestation-ca.ts';
import { EnrollmentError } from '../domain/est/enrollment-error.ts';
import { type FindProfile, ProfileError } from '../domain/profile/profile.ts';
import type { EstCaOperations } from './operations.ts';

/** Which makers of TPMs an account trusts. */
export function attestationOperations(deps: {
  readonly cas: AttestationCas;
  readonly findProfile: FindProfile;
  readonly now: () => number;
}) {
  return {
    listAttestationCas: async ({ account }) => ({
      items: (await listCas(deps.cas, account)).map(attestationCaOf),
    }),
    addAttestationCa: ({ account, certificate, rules }) =>
      withOperationErrors(async () => attestationCaOf(await addCa(deps, { account, certificate, rules }))),
    removeAttestationCa: ({ account, id }) =>
      withOperationErrors(async () => {
        await removeCa(deps.cas, account, id);
        return { removed: id };
      }),
  } satisfies Partial<EstCaOperations>;
}

function attestationCaOf({ account, fingerprint, certificate, rules, parsed }: TrustedCa): AttestationCa {
  const { commonName, organization } = parsed.subject;
  return {
    account,
    id: fingerprint,
    certificate,
    subject: [commonName && `CN=${commonName}`, organization && `O=${organization}`]
      .filter(Boolean)
      .join(', '),
    notAfter: new Date(parsed.notAfter).toISOString(),
    rules,
  };
}

async function withOperationErrors<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    if (cause instanceof AttestationCaError)
      throw new OperationError(cause.code, cause.message, { cause, field: cause.field });
    if (cause instanceof ProfileError)
      throw new OperationError(cause.code, cause.message, { cause, field: cause.field ?? 'rules' });
    if (cause instanceof EnrollmentError && cause.code === 'unknown-profile')
      throw new OperationError('unknown-profile', cause.message, { cause, field: 'rules' });
    throw cause;
  }
}
