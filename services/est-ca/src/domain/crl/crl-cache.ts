import type { HeldAuthority } from '../authority/ring.ts';

/** Gives the CRL of a CA, at most `ttlMs` old; requests that come together are one. */
export function cachedCrls(
  publish: (authority: HeldAuthority) => Promise<Uint8Array>,
  options: { readonly ttlMs: number; readonly now: () => number },
): (authority: HeldAuthority) => Promise<Uint8Array> {
  const cache = new Map<string, { readonly madeAt: number; readonly crl: Promise<Uint8Array> }>();
  return (authority) => {
    const { id } = authority.document;
    const now = options.now();
    const held = cache.get(id);
    if (held !== undefined && now - held.madeAt < options.ttlMs) return held.crl;
    const made = { madeAt: now, crl: publish(authority) };
    cache.set(id, made);
    made.crl.catch(() => {
      if (cache.get(id) === made) cache.delete(id);
    });
    return made.crl;
  };
}
