import { createPrivateKey } from 'node:crypto';
import { decodePemBlocks, encodeEnvelopedKey, parseCertificate } from '@signet/pki';
import type { EnvelopKey } from './server-keygen.ts';

/** Signs with the TLS identity of the EST listener, which the device has verified: the party that made the key. */
export function keyEnveloper(identity: () => { readonly key: string; readonly cert: string }): EnvelopKey {
  return (privateKey, { certificate: recipient, cipher }) => {
    const { key, cert } = identity();
    const [leaf] = decodePemBlocks(cert);
    if (leaf === undefined) throw new TypeError('the TLS identity has no certificate');
    return encodeEnvelopedKey({
      privateKey,
      recipient,
      cipher,
      signer: { certificate: parseCertificate(leaf.der), privateKey: createPrivateKey(key) },
    });
  };
}
