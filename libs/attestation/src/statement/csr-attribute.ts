import { DerReader, octetString, oid, PkiError, sequence, TAG } from '@signet/pki';
import { AttestationError } from '../attestation-error.ts';
import type { TpmStatement } from './statement.ts';

/** id-aa-attestation, `{ id-aa 59 }` (draft-ietf-lamps-csr-attestation). */
export const ATTESTATION_ATTRIBUTE = '1.2.840.113549.1.9.16.2.59';
/** tcg-attest-tpm-certify, `{ tcg-attest 1 }`. */
const TPM_CERTIFY = '2.23.133.20.1';

/** DER of the attribute's value, an AttestationBundle with one statement. */
export function encodeBundle({ attest, signature, publicArea, certificates }: TpmStatement): Uint8Array {
  const statement = sequence(octetString(attest), octetString(signature), octetString(publicArea));
  const attestations = sequence(sequence(oid(TPM_CERTIFY), statement));
  return new Uint8Array(
    certificates.length === 0 ? sequence(attestations) : sequence(attestations, sequence(...certificates)),
  );
}

/**
 * Reads the TPM's statement from an AttestationBundle; statements of other kinds and certificates that are not X.509 are
 * passed over.
 * @throws AttestationError `malformed`, `wrong-type` where it holds none of TPM2_Certify
 */
export function parseBundle(der: Uint8Array): TpmStatement {
  try {
    return readBundle(der);
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new AttestationError('malformed', cause.message, { cause });
  }
}

function readBundle(der: Uint8Array): TpmStatement {
  const field = 'AttestationBundle';
  const bundle = DerReader.sequence(der, field);
  const attestations = bundle.enter(TAG.SEQUENCE, field);
  const certificates = bundle.atEnd ? [] : readCertificates(bundle);
  bundle.finish(field);
  while (!attestations.atEnd) {
    const statement = attestations.enter(TAG.SEQUENCE, field);
    if (statement.oid(field) !== TPM_CERTIFY) continue;
    const parts = statement.enter(TAG.SEQUENCE, 'Tcg-csr-tpm-certify');
    const bytes = (name: string) => Uint8Array.prototype.slice.call(parts.content(TAG.OCTET_STRING, name));
    const attest = bytes('tpmSAttest');
    const signature = bytes('signature');
    if (parts.atEnd)
      throw new AttestationError('malformed', 'tpmTPublic: missing; the attributes of the key stand in it');
    const publicArea = bytes('tpmTPublic');
    parts.finish('Tcg-csr-tpm-certify');
    return { attest, signature, publicArea, certificates };
  }
  throw new AttestationError('wrong-type', `${field}: holds no statement of type tcg-attest-tpm-certify`);
}

/** LimitedCertChoices: X.509 has the tag of its SEQUENCE, others have one of their own. */
function readCertificates(bundle: DerReader): readonly Uint8Array[] {
  const field = 'certs';
  const list = bundle.enter(TAG.SEQUENCE, field);
  const found: Uint8Array[] = [];
  while (!list.atEnd) {
    const isX509 = list.peek() === TAG.SEQUENCE;
    const element = list.element(-1, field);
    if (isX509) found.push(Uint8Array.prototype.slice.call(element));
  }
  return found;
}
