import { constants, type KeyObject, verify } from 'node:crypto';
import { AttestationError } from '../attestation-error.ts';
import { ALG, type HashName, hashOf } from './algorithms.ts';
import { TpmReader } from './reader.ts';

const FIELD = 'signature';
const schemes: ReadonlySet<number> = new Set([ALG.RSASSA, ALG.RSAPSS, ALG.ECDSA]);

/** What is to be verified: for ECDSA r and s one after the other, or DER. */
type Signature = {
  readonly scheme: number;
  readonly hash: HashName;
  readonly value: Uint8Array;
  readonly encoding: 'ieee-p1363' | 'der';
};

/**
 * Verifies the signature of an attestation key: a TPMT_SIGNATURE (Part 2 §11.3.4), or the bare signature over SHA-256,
 * RSASSA or ECDSA in DER, as in the example of draft-ietf-lamps-csr-attestation.
 * @throws AttestationError `bad-signature`, `malformed`, `unsupported-algorithm`
 */
export function verifyTpmSignature(signature: Uint8Array, data: Uint8Array, key: KeyObject): void {
  const isEcc = key.asymmetricKeyType === 'ec';
  if (!isEcc && key.asymmetricKeyType !== 'rsa')
    throw new AttestationError(
      'unsupported-algorithm',
      `${FIELD}: attestation key: ${key.asymmetricKeyType} is not supported`,
    );
  const { scheme, hash, value, encoding } = isMarshalled(signature)
    ? readSignature(signature, key)
    : bareSignature(signature, isEcc);
  if (isEcc !== (scheme === ALG.ECDSA))
    throw new AttestationError('bad-signature', `${FIELD}: of another kind than the attestation key`);
  const options =
    scheme === ALG.ECDSA
      ? ({ key, dsaEncoding: encoding } as const)
      : scheme === ALG.RSAPSS
        ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO }
        : { key, padding: constants.RSA_PKCS1_PADDING };
  if (!verify(hash, data, options, value))
    throw new AttestationError(
      'bad-signature',
      `${FIELD}: the statement is not signed by the attestation key`,
    );
}

function isMarshalled(signature: Uint8Array): boolean {
  return schemes.has(((signature[0] ?? 0) << 8) | (signature[1] ?? 0));
}

function bareSignature(value: Uint8Array, isEcc: boolean): Signature {
  return { scheme: isEcc ? ALG.ECDSA : ALG.RSASSA, hash: 'sha256', value, encoding: 'der' };
}

function readSignature(signature: Uint8Array, key: KeyObject): Signature {
  const reader = new TpmReader(signature, FIELD);
  const scheme = reader.u16('sigAlg');
  const { name: hash } = hashOf(reader.u16('hash'), `${FIELD}: hash`);
  const value = scheme === ALG.ECDSA ? readEcdsa(reader, key) : reader.sized('sig', 512);
  reader.finish();
  return { scheme, hash, value, encoding: 'ieee-p1363' };
}

/** r and s, each as long as the curve. */
function readEcdsa(reader: TpmReader, key: KeyObject): Uint8Array {
  const bytes = key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 48 : 32;
  const both = Buffer.alloc(2 * bytes);
  for (const [index, field] of (['signatureR', 'signatureS'] as const).entries()) {
    const value = reader.sized(field, bytes);
    both.set(value, (index + 1) * bytes - value.length);
  }
  return both;
}
