import { createHash, type KeyObject, sign } from 'node:crypto';
import { generateKeyPair } from '@signet/pki';
import {
  ALG,
  ATTRIBUTE,
  CURVE,
  join,
  type ObjectAttribute,
  sized,
  type TpmStatement,
  u8,
  u16,
  u32,
} from '../src/index.ts';

/** Attributes of a good device key. */
export const SOUND: readonly ObjectAttribute[] = [
  ...(['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'sign'] as const),
];

export function eccArea(publicKey: KeyObject, attributes: readonly ObjectAttribute[] = SOUND): Uint8Array {
  const { x = '', y = '', crv } = publicKey.export({ format: 'jwk' });
  const bits = attributes.reduce((all, name) => all | ATTRIBUTE[name], 0);
  const none = u16(ALG.NULL);
  const curve = u16(crv === 'P-384' ? CURVE.P384 : CURVE.P256);
  const point = join(sized(Buffer.from(x, 'base64url')), sized(Buffer.from(y, 'base64url')));
  return join(u16(ALG.ECC), u16(ALG.SHA256), u32(bits), sized(), none, none, curve, none, point);
}

export type Forgery = {
  readonly magic?: number;
  readonly type?: number;
  readonly nonce?: Uint8Array;
  readonly attributes?: readonly ObjectAttribute[];
};

/** A statement as a TPM would make it, made in software: all of it can be wrong. */
export function forgedStatement(forgery: Forgery = {}): {
  readonly statement: TpmStatement;
  readonly nonce: Uint8Array;
  readonly publicKey: KeyObject;
  readonly attestationKey: KeyObject;
} {
  const { magic = 0xff544347, type = 0x8017, nonce = Buffer.alloc(32, 7), attributes } = forgery;
  const { publicKey } = generateKeyPair('P-256');
  const signer = generateKeyPair('P-256');
  const publicArea = eccArea(publicKey, attributes);
  const name = join(u16(ALG.SHA256), createHash('sha256').update(publicArea).digest());
  const clock = join(u32(0), u32(1), u32(0), u32(0), u8(1));
  const attest = join(
    u32(magic),
    u16(type),
    sized(name),
    sized(nonce),
    clock,
    u32(0),
    u32(0),
    sized(name),
    sized(name),
  );
  const raw = sign('sha256', attest, { key: signer.privateKey, dsaEncoding: 'ieee-p1363' });
  const signature = join(
    u16(ALG.ECDSA),
    u16(ALG.SHA256),
    sized(raw.subarray(0, 32)),
    sized(raw.subarray(32)),
  );
  return {
    statement: { attest, signature, publicArea, certificates: [] },
    nonce,
    publicKey,
    attestationKey: signer.publicKey,
  };
}
