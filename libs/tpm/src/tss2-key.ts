import { parsePublicArea, sized } from '@signet/attestation';
import { DerReader, decodePem, encodePem, octetString, oid, PkiError, sequence, TAG } from '@signet/pki';
import type { TpmKeyBlob } from './tpm.ts';
import { HIERARCHY } from './tpm.ts';
import { TpmError } from './tpm-error.ts';

const LABEL = 'TSS2 PRIVATE KEY';
/** id-loadablekey (ASN.1 Specification for TPM 2.0 Key Files §3.1). */
const LOADABLE_KEY = '2.23.133.10.1.3';
const EMPTY_AUTH = 0xa0;
const TRUE = Uint8Array.of(0xa0, 0x03, 0x01, 0x01, 0xff);

export function isTss2Key(text: string): boolean {
  return text.includes(`-----BEGIN ${LABEL}-----`);
}

/** A key in a file that only its TPM can use, as tpm2-openssl reads it. */
export function encodeTss2Key({ publicArea, wrapped }: TpmKeyBlob): string {
  const parent = Uint8Array.of(0x02, 0x04, 0x40, 0x00, 0x00, 0x01);
  const key = sequence(
    oid(LOADABLE_KEY),
    TRUE,
    parent,
    octetString(sized(publicArea)),
    octetString(sized(wrapped)),
  );
  return encodePem(LABEL, key);
}

/** @throws TpmError `bad-key` */
export function decodeTss2Key(text: string): TpmKeyBlob & { readonly spkiDer: Uint8Array } {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new TpmError('bad-key', `${LABEL}: ${reason}`, { cause });
  };
  try {
    const key = DerReader.sequence(decodePem(text, LABEL), LABEL);
    if (key.oid('type') !== LOADABLE_KEY) refuse('is no loadable key');
    if (key.peek() === EMPTY_AUTH) key.element(EMPTY_AUTH, 'emptyAuth');
    if (key.smallInteger('parent') !== HIERARCHY.owner)
      refuse('its parent is not the storage root of the owner');
    const publicArea = unsized(key.content(TAG.OCTET_STRING, 'pubkey')) ?? refuse('pubkey: no TPM2B_PUBLIC');
    const wrapped = unsized(key.content(TAG.OCTET_STRING, 'privkey')) ?? refuse('privkey: no TPM2B_PRIVATE');
    key.finish(LABEL);
    return { publicArea, wrapped, spkiDer: parsePublicArea(publicArea).spkiDer };
  } catch (cause) {
    if (cause instanceof PkiError) refuse(cause.message, cause);
    throw cause;
  }
}

function unsized(bytes: Uint8Array): Uint8Array | undefined {
  const length = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  return length === bytes.length - 2 && length > 0 ? bytes.slice(2) : undefined;
}
