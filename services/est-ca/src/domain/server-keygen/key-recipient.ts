import { createHash } from 'node:crypto';
import {
  type Certificate,
  type ContentCipher,
  type KeylessCsr,
  keyIdentifier,
  PkiError,
  parseKey,
  type VerifiedPeer,
  type WantedEncryption,
  wantedEncryption,
} from '@signet/pki';
import { EnrollmentError } from '../enrollment/enrollment-error.ts';

/** Whose key a new private key is encrypted to. */
export type KeyRecipient = { readonly certificate: Certificate; readonly cipher: ContentCipher };

/**
 * Who can open the key, where the CSR asks that it be encrypted (RFC 7030 §4.4.1): the certificate of the connection, if
 * the CSR names its key. Undefined where the CSR does not ask; where it asks for what cannot be done, it is refused, and
 * no key goes out in the clear.
 * @throws EnrollmentError `malformed-request`
 */
export function keyRecipient(csr: KeylessCsr, peer: VerifiedPeer | undefined): KeyRecipient | undefined {
  const wanted = readWanted(csr);
  if (wanted === undefined) return undefined;
  if (wanted.symmetric !== undefined)
    refuse(
      'DecryptKeyIdentifier: this server shares no symmetric key with the device; use AsymmetricDecryptKeyIdentifier',
    );
  if (peer === undefined || wanted.asymmetric === undefined || !names(wanted.asymmetric, peer.certificate))
    refuse("AsymmetricDecryptKeyIdentifier: is not the key identifier of the connection's certificate");
  if (!['RSA', 'P-256', 'P-384'].includes(parseKey(peer.certificate.spkiDer).kind))
    refuse('AsymmetricDecryptKeyIdentifier: nothing can be encrypted to an Ed25519 key');
  if (wanted.cipher === undefined) refuse('SMIMECapabilities: has none of AES-256-CBC and AES-128-CBC');
  return { certificate: peer.certificate, cipher: wanted.cipher };
}

function readWanted(csr: KeylessCsr): WantedEncryption | undefined {
  try {
    return wantedEncryption(csr);
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new EnrollmentError('malformed-request', `CSR: ${cause.message}`, { cause });
  }
}

/** By the subject key identifier of the certificate, or by any of the usual ways to make one (RFC 5280 §4.2.1.2, RFC 7093 §2). */
function names(identifier: Uint8Array, { subjectKeyId, spkiDer }: Certificate): boolean {
  const { bits } = parseKey(spkiDer);
  const asked = Buffer.from(identifier).toString('hex');
  const usual = [createHash('sha1').update(bits).digest(), Buffer.from(keyIdentifier(bits))];
  return asked === subjectKeyId || usual.some((known) => known.toString('hex') === asked);
}

function refuse(reason: string): never {
  throw new EnrollmentError('malformed-request', `CSR: ${reason}`);
}
