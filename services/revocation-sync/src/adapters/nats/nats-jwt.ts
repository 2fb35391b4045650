import { randomUUID } from 'node:crypto';
import { fromPublic, type KeyPair } from '@nats-io/nkeys';
import { readForeignJson } from '@signet/contracts';

/** JWTs of NATS: Ed25519 by an nkey, over header and payload. */
export function signNatsJwt(claims: object, by: KeyPair): string {
  const body = { jti: randomUUID(), iss: by.getPublicKey(), ...claims };
  const signed = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode(body)}`;
  return `${signed}.${Buffer.from(by.sign(Buffer.from(signed))).toString('base64url')}`;
}

/** Bytes of claims; those of NATS are a few hundred. */
const LONGEST = 65_536;

/** The claims of a JWT that whoever it names as its issuer has signed; undefined where it is none. */
export function readNatsJwt(token: string): Record<string, unknown> | undefined {
  const [header = '', payload = '', signature = ''] = token.split('.');
  try {
    const claims = readForeignJson(Buffer.from(payload, 'base64url'), 'claims', { bytes: LONGEST }) as Record<
      string,
      unknown
    >;
    const isGood = fromPublic(String(claims.iss)).verify(
      Buffer.from(`${header}.${payload}`),
      Buffer.from(signature, 'base64url'),
    );
    return isGood ? claims : undefined;
  } catch {
    return undefined;
  }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
