import { hash, verify } from 'node:crypto';
import type { Certificate } from '../certificate.ts';
import { crlReasons, ENUMERATED } from '../crl/crl.ts';
import { constructed, primitive, TAG } from '../der/tags.ts';
import { bitString, der, octetString, oid, owned, sequence } from '../der/writer.ts';
import { parseKey } from '../keys.ts';
import { PkiError } from '../pki-error.ts';
import { encodeSignatureAlgorithm, hashOf } from '../signature-algorithm.ts';
import type { Signer } from '../signer/signer.ts';
import { type CertId, OCSP_OID, type OcspFailure, type OcspStatus, ocspFailures } from './ocsp.ts';

/** Who answers: a certificate with OCSPSigning of the CA it answers for (RFC 6960 §4.2.2.2), and its key. */
export type OcspResponder = { readonly certificate: Certificate; readonly signer: Signer };

export type OcspAnswer = {
  readonly answers: readonly { readonly certId: CertId; readonly status: OcspStatus }[];
  /** Unix milliseconds, as all times here. */
  readonly producedAt: number;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Given back as it came (RFC 9654 §2.1). */
  readonly nonce?: Uint8Array | undefined;
};

/** Responders whose key has been found to be that of their certificate. */
const proven = new WeakSet<OcspResponder>();

/**
 * DER of a signed OCSPResponse with the responder's certificate in it.
 * Throws `PkiError` `signer-failed` where the signer fails, or holds another key than the certificate's.
 */
export async function createOcspResponse(responder: OcspResponder, answer: OcspAnswer): Promise<Uint8Array> {
  const { certificate, signer } = responder;
  const keyHash = hash('sha1', parseKey(certificate.spkiDer).bits, 'buffer');
  const tbs = sequence(
    der(constructed(2), octetString(keyHash)),
    generalizedTime(answer.producedAt),
    sequence(...answer.answers.map((single) => singleResponse(single, answer))),
    ...(answer.nonce === undefined ? [] : [nonceExtension(answer.nonce)]),
  );
  const signature = await signed(signer, tbs);
  if (!proven.has(responder)) {
    if (!verify(hashOf(signer.algorithm), tbs, certificate.publicKey, signature))
      throw new PkiError('signer-failed', 'signer: signed with another key than the responder has');
    proven.add(responder);
  }
  const basic = sequence(
    tbs,
    encodeSignatureAlgorithm(signer.algorithm),
    bitString(signature),
    der(constructed(0), sequence(certificate.der)),
  );
  return owned(
    sequence(
      der(ENUMERATED, Uint8Array.of(0)),
      der(constructed(0), sequence(oid(OCSP_OID.basic), octetString(basic))),
    ),
  );
}

/** DER of an answer that says only what went wrong (RFC 6960 §4.2.1); it is not signed. */
export function createOcspFailure(failure: OcspFailure): Uint8Array {
  return owned(sequence(der(ENUMERATED, Uint8Array.of(ocspFailures[failure]))));
}

function singleResponse(
  { certId, status }: OcspAnswer['answers'][number],
  { thisUpdate, nextUpdate }: OcspAnswer,
): Uint8Array {
  return sequence(
    certId.der,
    certStatus(status),
    generalizedTime(thisUpdate),
    der(constructed(0), generalizedTime(nextUpdate)),
  );
}

function certStatus(status: OcspStatus): Uint8Array {
  if (status.status === 'good') return der(primitive(0));
  if (status.status === 'unknown') return der(primitive(2));
  const { reason = 'unspecified' } = status;
  const code = der(constructed(0), der(ENUMERATED, Uint8Array.of(crlReasons[reason])));
  return der(constructed(1), generalizedTime(status.revokedAt), ...(reason === 'unspecified' ? [] : [code]));
}

/** OCSP knows no UTCTime (RFC 6960 §4.2.2.1). */
function generalizedTime(time: number): Uint8Array {
  const text = new Date(time).toISOString().replace(/[-:T]|\.\d+/g, '');
  return der(TAG.GENERALIZED_TIME, Buffer.from(text, 'latin1'));
}

function nonceExtension(nonce: Uint8Array): Uint8Array {
  const value = octetString(octetString(nonce));
  return der(constructed(1), sequence(sequence(oid(OCSP_OID.nonce), value)));
}

async function signed(signer: Signer, tbs: Uint8Array): Promise<Uint8Array> {
  try {
    return await signer.sign(tbs);
  } catch (cause) {
    throw new PkiError('signer-failed', 'signer: it could not sign', { cause });
  }
}
