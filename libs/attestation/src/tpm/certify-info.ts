import { AttestationError } from '../attestation-error.ts';
import { TpmReader } from './reader.ts';

/** TPM_GENERATED_VALUE: what only a TPM puts before what it signs with a restricted key. */
const TPM_GENERATED = 0xff544347;
const ATTEST_CERTIFY = 0x8017;

/** What a TPM2_Certify says (TPMS_ATTEST with TPMS_CERTIFY_INFO, Part 2 §10.12). */
export type CertifyInfo = {
  /** Qualified name of the key that signed. */
  readonly qualifiedSigner: Uint8Array;
  /** The nonce. */
  readonly extraData: Uint8Array;
  readonly firmwareVersion: bigint;
  /** Name of the key that was certified. */
  readonly name: Uint8Array;
  readonly qualifiedName: Uint8Array;
};

/**
 * Reads the attestation of a key.
 * @throws AttestationError `wrong-magic`, `wrong-type`, `malformed`
 */
export function parseCertifyInfo(bytes: Uint8Array): CertifyInfo {
  const reader = new TpmReader(bytes, 'attestation');
  const magic = reader.u32('magic');
  if (magic !== TPM_GENERATED)
    throw new AttestationError(
      'wrong-magic',
      `attestation: magic: ff544347 expected, found ${magic.toString(16).padStart(8, '0')}`,
    );
  const type = reader.u16('type');
  if (type !== ATTEST_CERTIFY)
    throw new AttestationError(
      'wrong-type',
      `attestation: type: TPM_ST_ATTEST_CERTIFY (8017) expected, found ${type.toString(16).padStart(4, '0')}`,
    );
  const qualifiedSigner = reader.sized('qualifiedSigner', 66);
  const extraData = reader.sized('extraData', 66);
  reader.bytes(8 + 4 + 4, 'clockInfo');
  const safe = reader.u8('clockInfo safe');
  if (safe > 1) throw reader.malformed('clockInfo safe', `${safe}`);
  const firmwareVersion = reader.u64('firmwareVersion');
  const name = reader.sized('name', 66);
  const qualifiedName = reader.sized('qualifiedName', 66);
  reader.finish();
  return { qualifiedSigner, extraData, firmwareVersion, name, qualifiedName };
}
