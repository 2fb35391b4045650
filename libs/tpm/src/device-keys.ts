import { createHash } from 'node:crypto';
import { type Credential, parsePublicArea, TpmReader } from '@signet/attestation';
import { ecdsaDer, type Signer } from '@signet/pki';
import { ATTESTATION_KEY, DEVICE_KEY, ENDORSEMENT_KEYS, STORAGE_ROOT } from './templates.ts';
import { HIERARCHY, type Tpm, type TpmKeyBlob } from './tpm.ts';
import { TpmError } from './tpm-error.ts';

/** A P-256 key that is made in the TPM and does not leave it. */
export function createDeviceKey(tpm: Tpm, template: Uint8Array = DEVICE_KEY): Promise<TpmKeyBlob> {
  return withPrimary(tpm, HIERARCHY.owner, STORAGE_ROOT, ({ handle }) => tpm.create(handle, template));
}

/** ECDSA with SHA-256 over `data`, in DER. */
export async function signWith(tpm: Tpm, key: TpmKeyBlob, data: Uint8Array): Promise<Uint8Array> {
  const digest = createHash('sha256').update(data).digest();
  const signature = await withKey(tpm, key, (handle) => tpm.sign(handle, digest));
  const reader = new TpmReader(signature, 'signature');
  reader.bytes(4, 'sigAlg and hash');
  const both = Buffer.alloc(64);
  for (const end of [32, 64]) {
    const value = reader.sized('r or s', 32);
    both.set(value, end - value.length);
  }
  return ecdsaDer(both);
}

const COORDINATE = 32;

/**
 * ECDH of a P-256 key of the TPM with a point (uncompressed): the X coordinate alone leaves it.
 * @throws TpmError `refused` where the key was made to sign only
 */
export async function agreeWithin(tpm: Tpm, key: TpmKeyBlob, point: Uint8Array): Promise<Uint8Array> {
  const [x, y] = [point.subarray(1, 1 + COORDINATE), point.subarray(1 + COORDINATE)];
  const shared = await withKey(tpm, key, (handle) => tpm.agree(handle, { x, y }));
  const padded = new Uint8Array(COORDINATE);
  padded.set(shared, COORDINATE - shared.length);
  return padded;
}

/** A signer with a key of the TPM. */
export function tpmSigner(tpm: Tpm, key: TpmKeyBlob): Signer {
  const { publicKey } = parsePublicArea(key.publicArea);
  return { algorithm: 'ecdsa-with-SHA256', publicKey, sign: (data) => signWith(tpm, key, data) };
}

/** An attestation key as a server asks for it. */
export type OwnAttestationKey = {
  /** TPMT_PUBLIC of the attestation key. */
  readonly publicArea: Uint8Array;
  /** DER of the endorsement key's certificate. */
  readonly endorsementCertificate: Uint8Array;
  /** Which of the endorsement keys. */
  readonly endorsement: (typeof ENDORSEMENT_KEYS)[number];
};

/** The TPM's attestation key, and the certificate of an endorsement key; undefined where the TPM has none. */
export async function ownAttestationKey(tpm: Tpm): Promise<OwnAttestationKey | undefined> {
  for (const endorsement of ENDORSEMENT_KEYS) {
    const found = await tpm.readNv(endorsement.certificateIndex);
    if (found === undefined) continue;
    const { publicArea } = await withPrimary(tpm, HIERARCHY.endorsement, ATTESTATION_KEY, async (key) => key);
    return { publicArea, endorsementCertificate: withoutPadding(found), endorsement };
  }
  return undefined;
}

/** Opens what a server encrypted to the endorsement key for the attestation key. */
export function openCredential(
  tpm: Tpm,
  { endorsement }: Pick<OwnAttestationKey, 'endorsement'>,
  credential: Credential,
): Promise<Uint8Array> {
  return withPrimary(tpm, HIERARCHY.endorsement, endorsement.template, (ek) =>
    withPrimary(tpm, HIERARCHY.endorsement, ATTESTATION_KEY, (ak) =>
      tpm.activateCredential(ak.handle, ek.handle, credential),
    ),
  );
}

/** TPM_RC_INTEGRITY, whichever parameter it is about (Part 2 §6.6.3): what was wrapped was so by another TPM. */
const RC_INTEGRITY = 0x9f;
const RC_OF_FORMAT_ONE = 0xbf;

/** Whether the key is one of this TPM: a key that another has wrapped cannot be loaded. */
export async function isOfTpm(tpm: Tpm, key: TpmKeyBlob): Promise<boolean> {
  try {
    await withKey(tpm, key, async () => {});
    return true;
  } catch (error) {
    if (!(error instanceof TpmError) || error.responseCode === undefined) throw error;
    if ((error.responseCode & RC_OF_FORMAT_ONE) !== RC_INTEGRITY) throw error;
    return false;
  }
}

/** That the key is in this TPM, said by its attestation key in answer to `nonce`. */
export function certifyKey(
  tpm: Tpm,
  key: TpmKeyBlob,
  nonce: Uint8Array,
): Promise<{ readonly attest: Uint8Array; readonly signature: Uint8Array }> {
  return withKey(tpm, key, (handle) =>
    withPrimary(tpm, HIERARCHY.endorsement, ATTESTATION_KEY, (ak) => tpm.certify(handle, ak.handle, nonce)),
  );
}

async function withKey<T>(tpm: Tpm, key: TpmKeyBlob, use: (handle: number) => Promise<T>): Promise<T> {
  const handle = await withPrimary(tpm, HIERARCHY.owner, STORAGE_ROOT, (root) => tpm.load(root.handle, key));
  try {
    return await use(handle);
  } finally {
    await tpm.flush(handle);
  }
}

async function withPrimary<T>(
  tpm: Tpm,
  hierarchy: number,
  template: Uint8Array,
  use: (key: { readonly handle: number; readonly publicArea: Uint8Array }) => Promise<T>,
): Promise<T> {
  const key = await tpm.createPrimary(hierarchy, template);
  try {
    return await use(key);
  } finally {
    await tpm.flush(key.handle);
  }
}

/** NV indexes are often longer than the certificate in them. */
function withoutPadding(bytes: Uint8Array): Uint8Array {
  const [tag = 0, first = 0, high = 0, low = 0] = bytes;
  if (tag !== 0x30 || first !== 0x82) return bytes;
  return bytes.slice(0, 4 + high * 256 + low);
}
