import { Certificate } from '../certificate.ts';
import { bitString, owned, sequence } from '../der/writer.ts';
import { PkiError } from '../pki-error.ts';
import type { Signer } from '../signer/signer.ts';
import type { LintedCertificate } from './prepare.ts';

/**
 * Signs a linted certificate, once. Throws `already-used`, or `signer-failed` where the signer holds another key than
 * the issuer's, or fails.
 */
export async function issue(linted: LintedCertificate, signer: Signer): Promise<Certificate> {
  const { issuer, algorithm, algorithmDer, signers } = linted.template;
  if (!signers.has(signer)) {
    if (signer.algorithm !== algorithm || !signer.publicKey.equals(issuer.publicKey))
      throw new PkiError('signer-failed', 'signer: its key is not that of the issuer');
    signers.add(signer);
  }
  const tbsDer = linted.take();
  let signature: Uint8Array;
  try {
    signature = await signer.sign(tbsDer);
  } catch (cause) {
    throw new PkiError('signer-failed', 'signer: it could not sign', { cause });
  }
  const der = owned(sequence(tbsDer, algorithmDer, bitString(signature)));
  return new Certificate({ ...linted.facts, der, signature });
}
