import { createCsr, generateKeyPair } from '@signet/pki';

/** Requests as devices make them, of every kind of key. */
export function csrSeeds(): readonly Uint8Array[] {
  const keys = (['P-256', 'P-384', 'Ed25519', 'RSA-2048'] as const).map((type) => generateKeyPair(type));
  return keys.flatMap(({ privateKey }) => [
    createCsr({ privateKey }),
    createCsr({ subject: { commonName: 'dev-1', organization: 'fuzz' }, privateKey }),
    createCsr({ subject: { commonName: 'dev-1' }, privateKey, challengePassword: 'a'.repeat(40) }),
  ]);
}
