import { createHash } from 'node:crypto';
import { decodePem, PkiError } from '@signet/pki';
import { Problem } from '@signet/service';

/** SHA-256 of the SPKI of a public key in PEM, of the field of a request. @throws Problem 400 */
export function publicKeyHashOf(field: string, pem: string): string {
  try {
    return createHash('sha256').update(decodePem(pem, 'PUBLIC KEY')).digest('hex');
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new Problem(400, 'invalid-input', `${field}: ${cause.message}`, { field, cause });
  }
}
