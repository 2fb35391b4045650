import { createPublicKey, type KeyObject } from 'node:crypto';
import { bitString, nullValue, oid, sequence, unsignedInteger } from '../../der/writer.ts';
import type { AuthorityKeyType } from '../../keys.ts';
import { PkiError } from '../../pki-error.ts';
import type { LoadedModule } from './module.ts';

/** What a new key may be used for: a device's key also reads what is encrypted to it, an authority's never. */
export type KeyPurpose = 'sign' | 'sign-and-agree';

const curves = { 'P-256': oid('1.2.840.10045.3.1.7'), 'P-384': oid('1.3.132.0.34') } as const;
const RSA_EXPONENT = Buffer.from('010001', 'hex');

/** The object of this class and label. @throws PkiError `signer-failed` where there are several */
export function findObject(
  { bindings, library }: LoadedModule,
  session: Buffer,
  objectClass: number,
  label: string,
): Buffer | undefined {
  library.C_FindObjectsInit(session, [
    { type: bindings.CKA_CLASS, value: objectClass },
    { type: bindings.CKA_LABEL, value: label },
  ]);
  try {
    const found = library.C_FindObjects(session, 2);
    if (found.length > 1) throw new PkiError('signer-failed', `pkcs11: several keys are labelled "${label}"`);
    return found[0];
  } finally {
    library.C_FindObjectsFinal(session);
  }
}

const MOST_FOUND = 10_000;

/** The labels of all private keys. */
export function labelsOf({ bindings, library }: LoadedModule, session: Buffer): string[] {
  library.C_FindObjectsInit(session, [{ type: bindings.CKA_CLASS, value: bindings.CKO_PRIVATE_KEY }]);
  try {
    return library.C_FindObjects(session, MOST_FOUND).map((object) => {
      const [label] = library.C_GetAttributeValue(session, object, [{ type: bindings.CKA_LABEL }]);
      return Buffer.from(label?.value as Buffer).toString('utf8');
    });
  } finally {
    library.C_FindObjectsFinal(session);
  }
}

/** Destroys both halves of a key, the private one first: a cut in between leaves nothing that signs. */
export function removeKey(module: LoadedModule, session: Buffer, label: string): void {
  const { bindings, library } = module;
  for (const objectClass of [bindings.CKO_PRIVATE_KEY, bindings.CKO_PUBLIC_KEY]) {
    const object = findObject(module, session, objectClass, label);
    if (object !== undefined) library.C_DestroyObject(session, object);
  }
}

/** Makes a key pair that stays in the token: sensitive, not extractable. */
export function generateKey(
  { bindings: b, library }: LoadedModule,
  session: Buffer,
  wanted: { readonly label: string; readonly type: AuthorityKeyType; readonly purpose: KeyPurpose },
): void {
  const { label, type, purpose } = wanted;
  const common = [
    { type: b.CKA_TOKEN, value: true },
    { type: b.CKA_LABEL, value: label },
    { type: b.CKA_ID, value: Buffer.from(label) },
  ];
  const { mechanism, parameters } = generationOf(b, type);
  // so that what is encrypted to a device's key can be read
  const agreement = purpose === 'sign-and-agree' ? [{ type: b.CKA_DERIVE, value: true }] : [];
  library.C_GenerateKeyPair(
    session,
    { mechanism },
    [...common, { type: b.CKA_VERIFY, value: true }, ...parameters],
    [
      ...common,
      { type: b.CKA_PRIVATE, value: true },
      { type: b.CKA_SENSITIVE, value: true },
      { type: b.CKA_EXTRACTABLE, value: false },
      { type: b.CKA_SIGN, value: true },
      ...agreement,
    ],
  );
}

function generationOf(b: LoadedModule['bindings'], type: AuthorityKeyType) {
  if (type === 'P-256' || type === 'P-384')
    return {
      mechanism: b.CKM_EC_KEY_PAIR_GEN,
      parameters: [{ type: b.CKA_EC_PARAMS, value: Buffer.from(curves[type]) }],
    };
  return {
    mechanism: b.CKM_RSA_PKCS_KEY_PAIR_GEN,
    parameters: [
      { type: b.CKA_MODULUS_BITS, value: Number(type.slice('RSA-'.length)) },
      { type: b.CKA_PUBLIC_EXPONENT, value: RSA_EXPONENT },
    ],
  };
}

/** The public half of the key of this label. @throws PkiError `signer-failed` where there is none */
export function readPublicKey(module: LoadedModule, session: Buffer, label: string): KeyObject {
  const { bindings, library } = module;
  const object = findObject(module, session, bindings.CKO_PUBLIC_KEY, label);
  if (object === undefined) throw new PkiError('signer-failed', `pkcs11: no public key "${label}"`);
  const [keyType] = library.C_GetAttributeValue(session, object, [{ type: bindings.CKA_KEY_TYPE }]);
  const isRsa = Buffer.from(keyType?.value as Buffer).readUIntLE(0, 4) === bindings.CKK_RSA;
  return isRsa ? rsaKey(module, session, object) : ecKey(module, session, object);
}

function ecKey({ bindings, library }: LoadedModule, session: Buffer, object: Buffer): KeyObject {
  const [parameters, point] = library.C_GetAttributeValue(session, object, [
    { type: bindings.CKA_EC_PARAMS },
    { type: bindings.CKA_EC_POINT },
  ]);
  const curve = Buffer.from(parameters?.value as Buffer);
  const wrapped = Buffer.from(point?.value as Buffer);
  // CKA_EC_POINT is the point in an OCTET STRING; its length takes one byte for all curves that we have
  const bits = wrapped[0] === 0x04 && wrapped[1] === wrapped.length - 2 ? wrapped.subarray(2) : wrapped;
  return loadSpki(sequence(sequence(oid('1.2.840.10045.2.1'), curve), bitString(bits)));
}

function rsaKey({ bindings, library }: LoadedModule, session: Buffer, object: Buffer): KeyObject {
  const [modulus, exponent] = library
    .C_GetAttributeValue(session, object, [
      { type: bindings.CKA_MODULUS },
      { type: bindings.CKA_PUBLIC_EXPONENT },
    ])
    .map(({ value }) => unsignedInteger(Buffer.from(value as Buffer)));
  if (modulus === undefined || exponent === undefined)
    throw new PkiError('signer-failed', 'pkcs11: an RSA key without modulus or exponent');
  const algorithm = sequence(oid('1.2.840.113549.1.1.1'), nullValue());
  return loadSpki(sequence(algorithm, bitString(sequence(modulus, exponent))));
}

function loadSpki(spki: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
}
