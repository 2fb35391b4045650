export {
  agreeWithin,
  certifyKey,
  createDeviceKey,
  isOfTpm,
  type OwnAttestationKey,
  openCredential,
  ownAttestationKey,
  signWith,
  tpmSigner,
} from './device-keys.ts';
export { ATTESTATION_KEY, DEVICE_KEY, ENDORSEMENT_KEYS, STORAGE_ROOT } from './templates.ts';
export { HIERARCHY, Tpm, type TpmKeyBlob } from './tpm.ts';
export { TpmError, type TpmErrorCode } from './tpm-error.ts';
export { DEFAULT_TCTI, openTransport, type TpmTransport } from './transport.ts';
export { decodeTss2Key, encodeTss2Key, isTss2Key } from './tss2-key.ts';
