import { DerReader } from '../der/reader.ts';
import { constructed, TAG } from '../der/tags.ts';
import { der, oid, sequence, smallInteger } from '../der/writer.ts';
import { PkiError } from '../pki-error.ts';

const SIGNED_DATA = '1.2.840.113549.1.7.2';
const DATA = '1.2.840.113549.1.7.1';
const MAX_BYTES = 1024 * 1024;

/**
 * Certificates as EST answers carry them: SignedData without content and signers (RFC 5652 §5.1, "certs-only" of
 * RFC 8551 §3.8). The certificates are a SET OF, so that DER orders them by their bytes (X.690 §11.6).
 */
export function encodeCertsOnly(certificates: readonly Uint8Array[]): Uint8Array {
  const ordered = certificates.toSorted(Buffer.compare);
  const signedData = sequence(
    smallInteger(1),
    der(TAG.SET),
    sequence(oid(DATA)),
    der(constructed(0), ...ordered),
    der(TAG.SET),
  );
  return sequence(oid(SIGNED_DATA), der(constructed(0), signedData));
}

/**
 * The DER certificates of a certs-only answer, in its order; their inside is not read.
 * Throws `PkiError` `malformed` for anything else: content, signers, BER, trailing bytes.
 */
export function decodeCertsOnly(answer: Uint8Array): Uint8Array[] {
  const field = 'certs-only answer';
  const info = DerReader.sequence(answer, field, MAX_BYTES);
  const type = info.oid(field);
  if (type !== SIGNED_DATA)
    throw new PkiError('malformed', `${field}: content type ${type} is not SignedData`);
  const explicit = info.enter(constructed(0), field);
  info.finish(field);
  const signedData = explicit.enter(TAG.SEQUENCE, field);
  explicit.finish(field);

  signedData.smallInteger(`${field}, version`);
  signedData.content(TAG.SET, `${field}, digest algorithms`);
  const content = signedData.enter(TAG.SEQUENCE, `${field}, content`);
  content.oid(`${field}, content type`);
  content.finish(`${field}, content`);
  const certificates: Uint8Array[] = [];
  if (signedData.peek() === constructed(0)) {
    const set = signedData.enter(constructed(0), `${field}, certificates`);
    while (!set.atEnd) certificates.push(set.element(TAG.SEQUENCE, `${field}, certificates`));
  }
  if (signedData.peek() === constructed(1)) signedData.content(constructed(1), `${field}, CRLs`);
  signedData.enter(TAG.SET, `${field}, signers`).finish(`${field}, signers`);
  signedData.finish(field);
  return certificates;
}
