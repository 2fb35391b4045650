import type { SignatureAlgorithmName } from '../signer/signer.ts';

/** Algorithms of JWS (RFC 7518 §3.1, RFC 8037) by the name of the key's own. `bytes`: of each half of an ECDSA signature. */
export const joseAlgorithms = {
  'ecdsa-with-SHA256': { alg: 'ES256', hash: 'sha256', bytes: 32 },
  'ecdsa-with-SHA384': { alg: 'ES384', hash: 'sha384', bytes: 48 },
  Ed25519: { alg: 'EdDSA', hash: null, bytes: 0 },
  sha256WithRSAEncryption: { alg: 'RS256', hash: 'sha256', bytes: 0 },
} as const satisfies Record<SignatureAlgorithmName, object>;
