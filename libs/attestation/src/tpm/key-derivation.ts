import { createHash, createHmac } from 'node:crypto';
import type { HashName } from './algorithms.ts';
import { join, u32 } from './writer.ts';

const NUL = Uint8Array.of(0);

/** KDFa (Part 1 §11.4.10.2): SP 800-108 in counter mode with HMAC. */
export function kdfA(
  hash: HashName,
  key: Uint8Array,
  label: string,
  context: Uint8Array,
  bits: number,
): Uint8Array {
  const suffix = join(Buffer.from(label, 'ascii'), NUL, context, u32(bits));
  return repeated(bits / 8, (counter) => createHmac(hash, key).update(u32(counter)).update(suffix).digest());
}

/** KDFe (Part 1 §11.4.10.3): SP 800-56A, for what two keys agree on. */
export function kdfE(
  hash: HashName,
  z: Uint8Array,
  label: string,
  parties: { readonly u: Uint8Array; readonly v: Uint8Array },
  bits: number,
): Uint8Array {
  const suffix = join(z, Buffer.from(label, 'ascii'), NUL, parties.u, parties.v);
  return repeated(bits / 8, (counter) => createHash(hash).update(u32(counter)).update(suffix).digest());
}

function repeated(bytes: number, block: (counter: number) => Uint8Array): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (let made = 0, counter = 1; made < bytes; counter++) {
    const next = block(counter);
    blocks.push(next);
    made += next.length;
  }
  return join(...blocks).subarray(0, bytes);
}
