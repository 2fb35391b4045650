import { ALG, ATTRIBUTE, CURVE, join, type ObjectAttribute, sized, u16, u32 } from '@signet/attestation';

const bits = (...names: readonly ObjectAttribute[]): Uint8Array =>
  u32(names.reduce((all, name) => all | ATTRIBUTE[name], 0));
const NONE = u16(ALG.NULL);
const AES_128_CFB = join(u16(ALG.AES), u16(128), u16(ALG.CFB));
const EMPTY_POINT = join(sized(), sized());
const P256 = join(u16(CURVE.P256), NONE);
const OWN = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin'] as const;

function eccArea(
  attributes: Uint8Array,
  parts: { readonly policy?: Uint8Array; readonly symmetric?: Uint8Array; readonly scheme?: Uint8Array },
  unique: Uint8Array = EMPTY_POINT,
): Uint8Array {
  const { policy = new Uint8Array(), symmetric = NONE, scheme = NONE } = parts;
  const head = join(u16(ALG.ECC), u16(ALG.SHA256), attributes, sized(policy));
  return join(head, symmetric, scheme, P256, unique);
}

/** The storage root of keys in files: the one that tpm2-openssl makes for a key whose parent is the owner hierarchy. */
export const STORAGE_ROOT = eccArea(bits(...OWN, 'userWithAuth', 'noDA', 'restricted', 'decrypt'), {
  symmetric: AES_128_CFB,
});

/** A key of a device: P-256, signs what it is given, reads what is encrypted to it (ECDH), does not leave its TPM. */
export const DEVICE_KEY = eccArea(bits(...OWN, 'userWithAuth', 'noDA', 'sign', 'decrypt'), {});

/** An attestation key: P-256, signs only what its TPM made. */
export const ATTESTATION_KEY = eccArea(bits(...OWN, 'userWithAuth', 'noDA', 'restricted', 'sign'), {
  scheme: join(u16(ALG.ECDSA), u16(ALG.SHA256)),
});

/** PolicySecret of the endorsement hierarchy, SHA-256 (TCG EK Credential Profile 2.5 §B.6.2). */
const POLICY_A = Buffer.from('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa', 'hex');

/** Endorsement keys and where their certificates lie (ibid. §2.2.1.4, B.3.3, B.3.4). */
export const ENDORSEMENT_KEYS = [
  {
    certificateIndex: 0x01c0000a,
    template: eccArea(
      bits(...OWN, 'adminWithPolicy', 'restricted', 'decrypt'),
      { policy: POLICY_A, symmetric: AES_128_CFB },
      join(sized(new Uint8Array(32)), sized(new Uint8Array(32))),
    ),
  },
  {
    certificateIndex: 0x01c00002,
    template: join(
      u16(ALG.RSA),
      u16(ALG.SHA256),
      bits(...OWN, 'adminWithPolicy', 'restricted', 'decrypt'),
      sized(POLICY_A),
      AES_128_CFB,
      NONE,
      u16(2048),
      u32(0),
      sized(new Uint8Array(256)),
    ),
  },
] as const;
