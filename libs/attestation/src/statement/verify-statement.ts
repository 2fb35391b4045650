import { type KeyObject, timingSafeEqual } from 'node:crypto';
import { AttestationError } from '../attestation-error.ts';
import { type CertifyInfo, parseCertifyInfo } from '../tpm/certify-info.ts';
import { IN_THIS_TPM, requireAttributes } from '../tpm/object-attributes.ts';
import { nameOf, type PublicArea, parsePublicArea } from '../tpm/public-area.ts';
import { verifyTpmSignature } from '../tpm/signature.ts';
import type { TpmStatement } from './statement.ts';

/** A statement as read: nothing in it is verified before `verifyStatement`. */
export type ReadStatement = {
  readonly statement: TpmStatement;
  readonly info: CertifyInfo;
  readonly area: PublicArea;
};

/** A key that lives in a TPM, made there, never to leave it. */
export type AttestedKey = {
  readonly spkiDer: Uint8Array;
  /** Name of the object in the TPM, hex. */
  readonly name: string;
  /** Of the TPM, hex. */
  readonly firmwareVersion: string;
};

/** Reads both structures; the nonce that was asked for can be told by `info.extraData`. @throws AttestationError */
export function readStatement(statement: TpmStatement): ReadStatement {
  return {
    statement,
    info: parseCertifyInfo(statement.attest),
    area: parsePublicArea(statement.publicArea),
  };
}

/**
 * Checks that the statement is the answer to `nonce`, is about the key `spkiDer`, that this key cannot leave its TPM and
 * signs, and that `attestationKey` signed it. Whether that key is one of a TPM is for the caller to know.
 * @throws AttestationError `wrong-nonce`, `wrong-name`, `wrong-key`, `wrong-attribute`, `bad-signature`
 */
export function verifyStatement(
  { statement, info, area }: ReadStatement,
  expected: {
    readonly nonce: Uint8Array;
    readonly spkiDer: Uint8Array;
    readonly attestationKey: KeyObject;
  },
): AttestedKey {
  const { nonce, spkiDer, attestationKey } = expected;
  if (info.extraData.length !== nonce.length || !timingSafeEqual(info.extraData, nonce))
    throw new AttestationError('wrong-nonce', 'attestation: extraData: is not the nonce that was given out');
  const name = nameOf(area);
  if (Buffer.compare(info.name, name) !== 0)
    throw new AttestationError(
      'wrong-name',
      'attestation: name: another key was certified than the one whose public area comes with it',
    );
  if (Buffer.compare(area.spkiDer, spkiDer) !== 0)
    throw new AttestationError('wrong-key', 'public area: is not that of the key that asks');
  requireAttributes(
    area.attributes,
    { set: [...IN_THIS_TPM, 'sign'], clear: ['encryptedDuplication', 'restricted'] },
    'key',
  );
  verifyTpmSignature(statement.signature, statement.attest, attestationKey);
  return {
    spkiDer: area.spkiDer,
    name: Buffer.from(name).toString('hex'),
    firmwareVersion: info.firmwareVersion.toString(16).padStart(16, '0'),
  };
}
