import { type Certificate, decodePemBlocks, encodePem, parseCertificate } from '@signet/pki';

/** A private key and its chain, leaf first, both in PEM: what `tls` takes as `key` and `cert`. */
export type TlsIdentity = { readonly key: string; readonly cert: string };

/** An identity with its leaf, read. */
export type Held = { readonly identity: TlsIdentity; readonly leaf: Certificate };

/** Two thirds of the certificate's life, Unix ms. */
export function renewalTime({ notBefore, notAfter }: Certificate): number {
  return notBefore + ((notAfter - notBefore) * 2) / 3;
}

/** The names that clients may call it by. */
export function coveredNames(leaf: Certificate): ReadonlySet<string> {
  return new Set([...leaf.sans.dns, ...leaf.sans.ips]);
}

/** Reads a key and a chain from PEM text. @throws PkiError, TypeError */
export function readIdentity(text: string): Held {
  const blocks = decodePemBlocks(text);
  const key = blocks.find(({ label }) => label === 'PRIVATE KEY');
  const chain = blocks.filter(({ label }) => label === 'CERTIFICATE');
  const [leaf] = chain;
  if (key === undefined || leaf === undefined)
    throw new TypeError('expected a private key and a certificate');
  return {
    identity: {
      key: encodePem('PRIVATE KEY', key.der),
      cert: chain.map(({ der }) => encodePem('CERTIFICATE', der)).join(''),
    },
    leaf: parseCertificate(leaf.der),
  };
}
