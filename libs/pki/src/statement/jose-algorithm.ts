import type { SignatureAlgorithmName } from '../signer/signer.ts';

/** Algorithms of JWS (RFC 7518 §3.1, RFC 8037) by the name of the key's own. `octets`: of each half of an ECDSA signature. */
export const joseAlgorithms = {
  'ecdsa-with-SHA256': { alg: 'ES256', hash: 'sha256', octets: 32 },
  'ecdsa-with-SHA384': { alg: 'ES384', hash: 'sha384', octets: 48 },
  Ed25519: { alg: 'EdDSA', hash: null, octets: 0 },
  sha256WithRSAEncryption: { alg: 'RS256', hash: 'sha256', octets: 0 },
} as const satisfies Record<SignatureAlgorithmName, object>;
