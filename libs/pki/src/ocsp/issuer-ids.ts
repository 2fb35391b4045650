import { hash } from 'node:crypto';
import type { Certificate } from '../certificate.ts';
import { parseKey } from '../keys.ts';
import { type CertId, type CertIdHash, certIdHashes } from './ocsp.ts';

/** Finds among some CAs the one that a CertID names; `undefined` where it names none of them. */
export function issuerFinder<T extends { readonly certificate: Certificate }>(
  issuers: readonly T[],
): (certId: Pick<CertId, 'hash' | 'issuerNameHash' | 'issuerKeyHash'>) => T | undefined {
  const byNames = new Map<string, T>();
  for (const issuer of issuers)
    for (const algorithm of Object.keys(certIdHashes) as CertIdHash[]) {
      const { subjectDer, spkiDer } = issuer.certificate;
      const name = hash(algorithm, subjectDer, 'hex');
      byNames.set(`${algorithm} ${name} ${hash(algorithm, parseKey(spkiDer).bits, 'hex')}`, issuer);
    }
  return ({ hash: algorithm, issuerNameHash, issuerKeyHash }) =>
    byNames.get(`${algorithm} ${issuerNameHash} ${issuerKeyHash}`);
}
