import { z } from 'zod';
import { AttestationError } from '../attestation-error.ts';

/** That a TPM holds a key: TPM2_Certify of it by an attestation key. */
export type TpmStatement = {
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE of the attestation key. */
  readonly signature: Uint8Array;
  /** TPMT_PUBLIC of the key that was certified. */
  readonly publicArea: Uint8Array;
  /** DER: the attestation key's certificate, where it has one, and CAs above it. */
  readonly certificates: readonly Uint8Array[];
};

const octets = (max: number) =>
  z
    .base64()
    .max(Math.ceil(max / 3) * 4)
    .transform((text) => new Uint8Array(Buffer.from(text, 'base64')));

/** The statement as JSON; bytes in base64. */
export const TpmStatementJson = z
  .object({
    format: z.literal('tpm2-certify'),
    attest: octets(4096),
    signature: octets(4096),
    public: octets(4096),
    certificates: z.array(octets(8192)).max(8).default([]),
  })
  .strict();

/** @throws AttestationError `malformed`, naming the field */
export function parseStatementJson(value: unknown): TpmStatement {
  const result = TpmStatementJson.safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    const field = issue?.path.join('.') || 'statement';
    throw new AttestationError('malformed', `${field}: ${issue?.message}`);
  }
  const { attest, signature, public: publicArea, certificates } = result.data;
  return { attest, signature, publicArea, certificates };
}

export function statementToJson(statement: TpmStatement): z.input<typeof TpmStatementJson> {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  return {
    format: 'tpm2-certify',
    attest: base64(statement.attest),
    signature: base64(statement.signature),
    public: base64(statement.publicArea),
    certificates: statement.certificates.map(base64),
  };
}
