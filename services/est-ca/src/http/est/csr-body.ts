import { decodeBase64, decodePem, PkiError } from '@signet/pki';
import { EnrollmentError } from '../../domain/enrollment-error.ts';

/**
 * The DER of a CSR in a request's body: base64 (RFC 8951 §3.1: whatever its line breaks), or PEM, which some clients
 * send in its place.
 * @throws EnrollmentError `malformed-request`
 */
export function decodeCsrBody(body: Uint8Array | undefined): Uint8Array {
  if (body === undefined || body.length === 0)
    throw new EnrollmentError('malformed-request', 'body: empty; a PKCS#10 request in base64 expected');
  const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1');
  try {
    return text.includes('-----BEGIN ')
      ? decodePem(text, 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')
      : decodeBase64(text, 'body');
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new EnrollmentError('malformed-request', cause.message, { cause });
  }
}
