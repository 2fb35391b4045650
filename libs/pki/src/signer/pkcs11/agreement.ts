import type { ECDH1 } from 'pkcs11js';
import { PkiError } from '../../pki-error.ts';
import type { LoadedModule } from './module.ts';

const X_BYTES = 32;

/**
 * ECDH of a P-256 key of the token with a point: the X coordinate alone leaves it (CKM_ECDH1_DERIVE without a KDF).
 * @throws PkiError `unsupported-key` where the key was made to sign only
 */
export async function agreeInToken(
  { bindings: b, library }: LoadedModule,
  session: Buffer,
  key: Buffer,
  { label, point }: { readonly label: string; readonly point: Uint8Array },
): Promise<Uint8Array> {
  const [mayDerive] = library.C_GetAttributeValue(session, key, [{ type: b.CKA_DERIVE }]);
  if (Buffer.from(mayDerive?.value as Buffer)[0] !== 1)
    throw new PkiError('unsupported-key', `pkcs11: key "${label}" only signs (its CKA_DERIVE is false)`);
  const parameter: ECDH1 = { type: b.CK_PARAMS_EC_DH, kdf: b.CKD_NULL, publicData: Buffer.from(point) };
  const secret = await library.C_DeriveKeyAsync(session, { mechanism: b.CKM_ECDH1_DERIVE, parameter }, key, [
    { type: b.CKA_CLASS, value: b.CKO_SECRET_KEY },
    { type: b.CKA_KEY_TYPE, value: b.CKK_GENERIC_SECRET },
    { type: b.CKA_TOKEN, value: false },
    { type: b.CKA_SENSITIVE, value: false },
    { type: b.CKA_EXTRACTABLE, value: true },
    { type: b.CKA_VALUE_LEN, value: X_BYTES },
  ]);
  try {
    const [shared] = library.C_GetAttributeValue(session, secret, [{ type: b.CKA_VALUE }]);
    return Uint8Array.from(Buffer.from(shared?.value as Buffer));
  } finally {
    library.C_DestroyObject(session, secret);
  }
}
