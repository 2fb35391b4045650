import { type Identity, leaf } from './identity.ts';

/** When a certificate is due for renewal: at two thirds of its life, and up to a tenth later by chance. Unix ms. */
export function renewalDue(identity: Identity, random: () => number = Math.random): number {
  const { notBefore, notAfter } = leaf(identity);
  const life = notAfter - notBefore;
  return notBefore + life * (2 / 3 + random() / 10);
}
